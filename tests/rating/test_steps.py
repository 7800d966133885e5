"""Steps as the rating page shows them: put together from what is the same in every text, or rendered whole."""

import pytest
from django.utils import translation

from annotator.rating.narrative import _rendered_step, exact_html, step_html


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("text", ["A papule.", '<b>%s {0} {{ x }} "&" \r\n', "褐色丘疹 👩🏽‍⚕️ e\u0301", "\x00 odd \x00"])
def test_an_unmarked_step_is_what_the_template_makes_of_it(language, text) -> None:
    with translation.override(language):
        for number in (1, 2, 1200):
            step = {"number": number, "start": 1234, "text": text}
            whole = _rendered_step(number, {}, ("1234", "en", exact_html(text)))
            assert step_html(step, {}, "en") == whole
            assert 'data-start="1234"' in whole and f'name="mark-{number}"' in whole


def test_a_marked_step_keeps_its_mark_to_itself() -> None:
    step = {"number": 1, "start": 0, "text": "A papule."}
    assert 'value="her note"' in step_html(step, {"note": "her note"}, "en")
    assert "her note" not in step_html(step, {}, "en")
    assert "&quot;&gt;" in step_html(step, {}, '">')
