"""What DermEval writes and what it is rewarded for: lines are read strictly, none is guessed."""

import numpy as np
import pytest

from modelhub.ml.dermeval_format import Critique, fill_prompt, read_critique, write_critique
from modelhub.ml.dermeval_stages import endless_order, reward_of
from modelhub.ml.synthetic.lesion import DIAGNOSES, sample
from modelhub.ml.synthetic.physicians import KINDS, PHYSICIANS, draw_kind, rated_text, reasons_of
from scoring.rubric import DIMENSION_KEYS, DIMENSION_NAMES

SCORES: dict[str, float | None] = dict(zip(DIMENSION_KEYS, (5.0, 0.0, 3.0, 4.5, None, 2.0), strict=True))
WORDS = dict.fromkeys(DIMENSION_KEYS, "so; and so.")


def test_what_is_written_is_read_back() -> None:
    text = write_critique(SCORES, WORDS)
    read = read_critique(text)
    assert read.scores == SCORES
    assert read.declined == {"reasoning_coherence"}
    assert read.unread == ()
    assert read.overall is None
    numbers = {key: text[slice(*span)] for key, span in read.spans.items()}
    assert numbers == {
        "accuracy": "5",
        "safety": "0",
        "medical_groundedness": "3",
        "clinical_coverage": "4.5",
        "description_precision": "2",
    }


@pytest.mark.parametrize(
    "line",
    [
        "**Accuracy**: 4 – so.",
        "Accuracy: 6 – so.",
        "Accuracy: 45 – so.",
        "Accuracy: 4,5 – so.",
        "Accuracy: 4/5 – so.",
        "Accuracy: 5.5 – so.",
        "Accuracy: 3 steps – so.",
        "Accuracy: 3 –",
        "Accuracy: – so.",
        "Overall accuracy: 2 – so.",
        "accuracy: 2 – so.",
        "Accuracy: 2 – so.\nAccuracy: 5 – so.",
        "",
    ],
)
def test_another_spelling_is_no_score_and_none_is_guessed(line: str) -> None:
    read = read_critique(f"{line}\nSafety: 4 – so.")
    assert read.scores["accuracy"] is None
    assert "accuracy" in read.unread
    assert read.scores["safety"] == 4.0


def test_a_score_without_a_reason_or_off_the_scale_is_not_written() -> None:
    with pytest.raises(ValueError, match="justification"):
        write_critique(SCORES, WORDS | {"safety": " \n "})
    with pytest.raises(ValueError, match="between 0 and 5"):
        write_critique(SCORES | {"safety": 5.5}, WORDS)
    with pytest.raises(ValueError, match="exactly once"):
        fill_prompt("Check it.", "text")


def critique(**scores: float | None) -> Critique:
    return read_critique(write_critique(dict.fromkeys(DIMENSION_KEYS, 3.0) | scores, WORDS))


def test_the_reward_punishes_what_cannot_be_read_and_what_is_declined() -> None:
    truth: dict[str, float | None] = dict.fromkeys(DIMENSION_KEYS, 3.0)
    assert reward_of(critique(), truth, unread_error=25).value == 0
    off = reward_of(critique(safety=1.0), truth, unread_error=25)
    assert (off.value, off.error, off.read) == pytest.approx((-4 / 6, 4 / 6, 1.0))
    declined = reward_of(critique(safety=None), truth, unread_error=25)
    assert (declined.value, declined.error, declined.read) == pytest.approx((-25 / 6, 0.0, 5 / 6))
    nothing = reward_of(read_critique("Accuracy: 9"), truth, unread_error=16)
    assert (nothing.value, nothing.error, nothing.read) == (-16, None, 0)


def test_what_physicians_could_not_judge_counts_for_nothing() -> None:
    truth: dict[str, float | None] = dict.fromkeys(DIMENSION_KEYS) | {"safety": 3.0}
    assert reward_of(critique(safety=2.0, accuracy=None), truth, unread_error=25).value == -1
    with pytest.raises(ValueError, match="no dimension"):
        reward_of(critique(), dict.fromkeys(DIMENSION_KEYS), unread_error=25)


def test_the_order_of_records_is_the_same_after_a_break() -> None:
    whole = endless_order(5, seed=3, size=2, done=0)
    steps = [next(whole) for _ in range(6)]
    later = endless_order(5, seed=3, size=2, done=4)
    assert [next(later), next(later)] == steps[4:]
    assert sorted(place for step in steps[:5] for place in step) == sorted([*range(5)] * 2)


def test_simulated_physicians_differ_by_their_severity_and_name_no_diagnosis() -> None:
    rng = np.random.default_rng(5)
    sums = {who.name: 0.0 for who in PHYSICIANS}
    for _ in range(150):
        lesion = sample(rng)
        text = rated_text(lesion, draw_kind(rng), rng)
        for who in PHYSICIANS:
            scores = who.scores(lesion, text, rng)
            said = write_critique(scores, reasons_of(scores))
            assert not any(name.removesuffix("-like lesion") in said for name in DIAGNOSES)
            sums[who.name] += sum(value or 0.0 for value in scores.values())
    assert sums["lenient"] > sums["even"] > sums["severe"]
    assert len({rated_text(sample(rng), kind, rng) for kind in KINDS}) == len(KINDS)


def test_names_stand_as_the_rubric_has_them() -> None:
    assert [line.split(":")[0] for line in write_critique(SCORES, WORDS).splitlines()] == [*DIMENSION_NAMES.values()]
