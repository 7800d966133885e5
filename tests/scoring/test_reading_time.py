import pytest

from scoring.reading_time import fastest_reading, is_faster_than_reading


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 0), ("word " * 800, 60), ("斑" * 900, 60), ("plaque 斑块 " * 100, 100 / (800 / 60) + 200 / 15)],
)
def test_the_least_time_grows_with_words_and_characters(text, seconds) -> None:
    assert fastest_reading(text) == pytest.approx(seconds)


def test_a_rating_is_too_fast_only_if_its_time_is_known() -> None:
    text = "word " * 400
    assert is_faster_than_reading(text, 29)
    assert not is_faster_than_reading(text, 30)
    assert not is_faster_than_reading(text, None)
    assert not is_faster_than_reading("", 0)
