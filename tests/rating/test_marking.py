"""Marks through the page's fields: read, refused in words, and given back as they were."""

import pytest
from django.urls import reverse

from annotator.rating.marking import mark_fields, mark_inputs
from scoring.models import Mark
from scoring.rubric import DIMENSION_KEYS

pytestmark = pytest.mark.django_db


@pytest.fixture
def send(page, held):
    def sender(**fields):
        form = dict.fromkeys(DIMENSION_KEYS, "4") | {name.replace("_", "-"): value for name, value in fields.items()}
        return page.post(reverse("rating:assignment", args=[held.public_id]), form)

    return sender


def test_each_step_has_its_fields_and_they_belong_to_the_form(page, held) -> None:
    html = page.get(reverse("rating:assignment", args=[held.public_id])).content.decode()
    for number in range(1, len(held.version.steps) + 1):
        for part in ("", "-severity", "-dimension", "-note", "-span", "-point"):
            assert f'name="mark-{number}{part}"' in html
    assert html.count('form="scores"') == 6 * len(held.version.steps) > 0


def test_a_mark_goes_round(send, held) -> None:
    start = held.version.steps[1]["start"]
    fields = {
        "mark-1": "ok",
        "mark-2": "hallucinated_finding",
        "mark-2-severity": "major",
        "mark-2-dimension": "safety",
        "mark-2-note": "Where?",
        "mark-2-span": f"{start}-{start + 5}",
        "mark-2-point": "1:0.2500:0.7500",
    }
    assert send(**fields).status_code == 302
    assert mark_fields(Mark.objects.all(), held.version) == fields
    assert [mark.step for mark in mark_inputs(fields, held.version)] == [1, 2]


def test_a_step_marked_right_has_no_severity(send) -> None:
    send(**{"mark-1": "ok", "mark-1-severity": "major"})
    assert Mark.objects.get().severity == ""


def test_a_step_that_is_not_marked_stores_nothing(send) -> None:
    send(**{"mark-1": "", "mark-1-note": "left behind"})
    assert not Mark.objects.exists()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mark-2": "rude"}, "Step 2: an error needs its type."),
        ({"mark-99": "ok"}, "There is no step 99"),
        ({"mark-2": "ok", "mark-2-span": "x"}, "Step 2: mark the words again."),
        ({"mark-2": "ok", "mark-2-span": "0-999999"}, "Step 2: the marked words lie outside the step."),
        ({"mark-2": "ok", "mark-2-point": "2:0.5:0.5"}, "Step 2: set the point on the image again."),
        ({"mark-2": "ok", "mark-2-point": "1:1.5:0.5"}, "Step 2: the point lies outside the image."),
        ({"mark-2": "ok", "mark-2-point": "1:nan:0.5"}, "Step 2: set the point on the image again."),
    ],
)
def test_what_does_not_fit_is_refused_in_words_and_comes_back(send, fields, words) -> None:
    answer = send(**fields)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Mark.objects.exists()
    for name, value in fields.items():
        assert answer.context["fields"][name] == value


def test_a_carriage_return_reaches_the_browser_as_one_character(page, study, rater) -> None:
    from scoring.services.queue import enqueue_versions
    from tests.factories import claim, make_version

    version = make_version(text="<think> One\r\ntwo\rthree. </think><answer> Naevus. </answer>")
    enqueue_versions(study=study, versions=[version], actor=None, priority=9)
    html = page.get(reverse("rating:assignment", args=[claim(study, rater).public_id])).content.decode()
    assert "One&#13;\ntwo&#13;three." in html
