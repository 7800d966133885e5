"""Marks: what is accepted, and offsets that mean the same characters for ever, in any script."""

import json
import uuid

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.models import Mark
from scoring.narrative_format import parse, replace_steps
from scoring.services.ratings import MarkInput, submit_rating
from scoring.worddiff import DELETE, INSERT, word_diff
from tests.factories import claim, make_case, make_queue, make_rater, make_study, scores

SCRIPTS = [
    "A brown plaque. ",
    "考虑黑色素瘤。",
    "基底细胞瘤",
    "皮膚がん。",
    "흑색종. ",
    "עור. ",
    "ﷺ",
    "𠀀𝒳",
    "ß",
    "İ",
    "ǅ",
]
JOINED = ["👩🏽\u200d⚕️", "🏳️\u200d🌈 ", "e\u0301", "n\u0303", "\u200d", "\u200b", "\ufe0f"]
SPACES = ["\r\n", "\n\n", "\r", "\u2028", "\t", " ", "5 mm. ", "&amp;<b>"]
TAGS = ["<think>", "</think>", "<answer>Naevus. ", "</answer>", "**Findings**\n"]
PIECES = st.sampled_from([*SCRIPTS, *JOINED, *SPACES, *TAGS])
TEXTS = st.lists(PIECES, min_size=1, max_size=30).map("".join)


@pytest.fixture
def held(db):
    study = make_study()
    make_queue(study, 2)
    rater = make_rater(study)
    return claim(study, rater), rater


def submit(held, *marks):
    assignment, rater = held
    return submit_rating(
        assignment=assignment, rater=rater, client_uuid=uuid.uuid4(), scores=scores(), marks=list(marks)
    )


def error(**fields) -> MarkInput:
    return MarkInput(**({"step": 2, "verdict": "error", "error_type": "wrong_term"} | fields))


def test_a_mark_is_kept_with_all_it_says(held) -> None:
    version = held[0].version
    step, image = version.steps[1], version.narrative.case.images.get()
    entered = error(
        severity="major", dimension="safety", span_start=step["start"], span_end=step["start"] + 5,
        note="Which border?", image=image, point_x=0.25, point_y=1,
    )  # fmt: skip
    stored = submit(held, entered, MarkInput(step=1, verdict="ok")).marks.get(step=2)
    assert version.text[stored.span_start : stored.span_end] == "It is"
    assert stored.label() == {
        "step": 2,
        "verdict": "error",
        "error_type": "wrong_term",
        "severity": "major",
        "dimension": "safety",
        "span": [step["start"], step["start"] + 5],
        "point": {"image": str(image.public_id), "x": 0.25, "y": 1.0},
    }


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"step": 99}, "no step 99"),
        ({"step": 0}, "no step 0"),
        ({"verdict": "bad"}, "right or as an error"),
        ({"error_type": ""}, "needs its type"),
        ({"error_type": "rude"}, "needs its type"),
        ({"verdict": "ok"}, "needs its type"),
        ({"verdict": "ok", "error_type": "", "severity": "minor"}, "no severity"),
        ({"severity": "huge"}, "minor or major"),
        ({"dimension": "beauty"}, "six dimensions"),
        ({"span_start": 0, "span_end": 9999}, "outside the step"),
        ({"span_start": 0, "span_end": 5}, "outside the step"),
        ({"span_start": 90}, "outside the step"),
        ({"point_x": 0.5}, "needs its image"),
    ],
)
def test_a_mark_that_does_not_fit_is_refused(held, fields, words) -> None:
    with pytest.raises(ValidationError, match=words):
        submit(held, error(**fields))
    assert not Mark.objects.exists()


def test_a_point_lies_on_an_image_of_this_case(held) -> None:
    with pytest.raises(ValidationError, match="another case"):
        submit(held, error(image=make_case().images.get(), point_x=0.5, point_y=0.5))
    with pytest.raises(ValidationError, match="outside the image"):
        submit(held, error(image=held[0].version.narrative.case.images.get(), point_x=1.5, point_y=0.5))


def test_one_mark_per_step(held) -> None:
    with pytest.raises(ValidationError, match="marked twice"):
        submit(held, error(), MarkInput(step=2, verdict="ok"))
    rating = submit(held, error())
    with pytest.raises(IntegrityError), transaction.atomic():
        Mark.objects.create(rating=rating, step=2, verdict="ok")


@given(TEXTS, st.data())
@settings(max_examples=1000, deadline=None)
def test_offsets_survive_storage_rendering_and_edits_elsewhere(text: str, data) -> None:
    steps = list(parse(text).steps)
    if not steps:
        return
    number = data.draw(st.integers(0, len(steps) - 1))
    step = steps[number]
    start = data.draw(st.integers(step.start, step.end - 1))
    end = data.draw(st.integers(start + 1, step.end))
    marked = text[start:end]
    stored = json.loads(json.dumps({"text": text, "start": start, "end": end}))
    assert stored["text"][stored["start"] : stored["end"]] == marked
    shown = text[step.start : step.end]
    assert shown[start - step.start : end - step.start] == marked
    other = data.draw(st.integers(0, len(steps) - 1))
    replacement = data.draw(TEXTS).strip()
    edited = replace_steps(text, steps, {other: replacement})
    drift = len(replacement) - (steps[other].end - steps[other].start) if other < number else 0
    if other != number:
        assert edited[start + drift : end + drift] == marked
    chunks = word_diff(text, edited)
    assert "".join(c.text for c in chunks if c.op != INSERT) == text
    assert "".join(c.text for c in chunks if c.op != DELETE) == edited
