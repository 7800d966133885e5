"""Reading narratives leniently, without ever changing them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.narrative_format import ADVICE, DIAGNOSIS, FINDINGS, REASONING, parse, replace_steps
from tests.factories import NARRATIVE


def kinds(text: str) -> list[str]:
    return [step.kind for step in parse(text).steps]


def test_the_tagged_form() -> None:
    reading = parse(NARRATIVE)
    assert kinds(NARRATIVE) == [FINDINGS, FINDINGS, REASONING, REASONING, DIAGNOSIS, ADVICE]
    assert reading.diagnosis == "Seborrhoeic keratosis."
    assert not reading.truncated


def test_the_headed_form() -> None:
    text = (
        "**Image Findings**\nA red plaque. Silvery scale.\n\n## Diagnostic Reasoning:\n"
        "Psoriasis fits.\n\nFinal Diagnosis:\nPsoriasis\n\nAdvice\nEmollients."
    )
    reading = parse(text)
    assert kinds(text) == [FINDINGS, FINDINGS, REASONING, DIAGNOSIS, ADVICE]
    assert reading.diagnosis == "Psoriasis"


def test_unclosed_thinking_is_truncated_and_never_a_diagnosis() -> None:
    reading = parse("<think> A red plaque. It could be")
    assert reading.truncated
    assert reading.diagnosis is None


def test_an_unclosed_answer_is_truncated() -> None:
    assert parse("<think> A plaque. </think><answer> Psoriasis. Use").truncated


def test_the_last_answer_counts() -> None:
    text = "<think> A. </think><answer> Eczema. </answer><think> But no. </think><answer> Psoriasis. </answer>"
    assert parse(text).diagnosis == "Psoriasis."


def test_a_missing_opening_tag_is_read_leniently() -> None:
    reading = parse("A red plaque. </think><answer> Psoriasis. </answer>")
    assert reading.diagnosis == "Psoriasis."
    assert [s.kind for s in reading.steps] == [FINDINGS, DIAGNOSIS]


def test_abbreviations_and_decimals_do_not_end_a_sentence() -> None:
    text = "A plaque of 1.5 cm, e.g. on the arm. It is red."
    assert [text[s.start : s.end] for s in parse(text).steps] == ["A plaque of 1.5 cm, e.g. on the arm.", "It is red."]


def test_chinese_sentences() -> None:
    text = "<think> 前臂可见红色斑块。边界清楚。考虑银屑病。 </think><answer> 银屑病。建议随访。 </answer>"
    assert kinds(text) == [FINDINGS, FINDINGS, REASONING, DIAGNOSIS, ADVICE]


@given(st.text(alphabet=st.sampled_from(list("ab. \n<>/thinkanswer!?。界🙂é")), max_size=200))
def test_any_text_has_a_reading_with_offsets_inside_it(text: str) -> None:
    end = 0
    for step in parse(text).steps:
        assert end <= step.start < step.end <= len(text)
        assert text[step.start : step.end].strip() == text[step.start : step.end]
        end = step.end


def test_replacing_a_step_leaves_the_rest_alone() -> None:
    steps = list(parse(NARRATIVE).steps)
    changed = replace_steps(NARRATIVE, steps, {1: "It is round and large."})
    assert changed == NARRATIVE.replace("It is oval and small.", "It is round and large.")
    assert replace_steps(NARRATIVE, steps, {}) == NARRATIVE


def test_replacing_a_step_that_is_not_there_is_an_error() -> None:
    with pytest.raises(IndexError):
        replace_steps(NARRATIVE, list(parse(NARRATIVE).steps), {99: "x"})
