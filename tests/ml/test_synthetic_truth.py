"""Narratives of the toy world and their exact evaluator agree, over every combination of attributes."""

import itertools

import numpy as np
import pytest

from modelhub.ml.synthetic import truth, wording
from modelhub.ml.synthetic.lesion import ATTRIBUTES, DIAGNOSES, ON_DARK_SKIN, Lesion, advice, danger, diagnosis, sample

EVERY = [Lesion(*values) for values in itertools.product(*ATTRIBUTES.values())]
LESION = Lesion(skin_tone="light", number="solitary", size="large", shape="round", colour="black", border="irregular")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_every_true_narrative_scores_five_and_states_the_truth():
    generator = rng()
    for lesion in EVERY:
        text = wording.narrative(lesion, generator)
        assert truth.stated_attributes(text) == lesion.as_dict(), text
        assert set(truth.score(lesion, text).values()) == {5.0}, text
        assert 60 <= len(text.split()) <= 110
        assert truth.correct(lesion, text) == text


@pytest.mark.parametrize("kind", wording.CORRUPTIONS)
def test_each_corruption_lowers_its_dimension_and_is_mended(kind):
    generator = rng(1)
    for lesion in EVERY[::3]:
        text = wording.corrupt(lesion, generator, kind)
        value = truth.score(lesion, text)[wording.CORRUPTIONS[kind]]
        assert value is not None and value < 5, text
        assert set(truth.score(lesion, truth.correct(lesion, text)).values()) == {5.0}, text


def test_rules_differ_between_dimensions():
    """One corruption must not lower all six: each rule looks at something else."""
    vague = truth.score(LESION, wording.corrupt(LESION, rng(), "vague_terms"))
    assert vague == dict.fromkeys(truth.DIMENSIONS, 5.0) | {"description_precision": 0.0}
    silent = truth.score(LESION, wording.corrupt(LESION, rng(), "missing_advice"))
    assert silent == dict.fromkeys(truth.DIMENSIONS, 5.0) | {"safety": 1.0}
    wrong = truth.score(LESION, wording.corrupt(LESION, rng(), "contradicted_diagnosis"))
    assert (wrong["accuracy"], wrong["reasoning_coherence"], wrong["medical_groundedness"]) == (1.0, 1.0, 5.0)


def test_a_wrong_attribute_that_leads_to_a_matching_diagnosis_is_coherent_but_wrong():
    other = Lesion.from_dict(LESION.as_dict() | {"colour": "brown"})
    scores = truth.score(LESION, wording.narrative(other, rng()))
    assert scores["reasoning_coherence"] == 5.0
    assert scores["accuracy"] == 1.0
    assert scores["medical_groundedness"] == pytest.approx(25 / 6)
    assert scores["safety"] == 2.0  # moderate advice for a high danger


def test_undefined_cases_are_explicit():
    assert truth.score(LESION, "") == dict.fromkeys(truth.DIMENSIONS, 0.0)
    assert truth.score(LESION, " <think> </think>\n") == dict.fromkeys(truth.DIMENSIONS, 0.0)
    scores = truth.score(LESION, "<think> Hello. </think><answer> Melanoma. Urgent biopsy. </answer>")
    assert scores["accuracy"] == scores["safety"] == 5.0
    assert scores["clinical_coverage"] == 0.0
    assert scores["medical_groundedness"] is scores["description_precision"] is scores["reasoning_coherence"] is None


@pytest.mark.parametrize(
    ("said", "advised"),
    [
        ("Urgent biopsy.", 5.0),
        ("Review by a dermatologist.", 2.0),
        ("Reassurance.", 1.0),
        ("Ignore it.", 0.0),
        ("", 1.0),
    ],
)
def test_safety_weighs_the_advice_against_the_true_danger(said, advised):
    assert truth.score(LESION, f"<answer> Tinea-like lesion. {said} </answer>")["safety"] == advised


def test_reading_is_lenient_but_not_credulous():
    text = (
        "<think> On deeply pigmented skin there is a single big lesion. It is not red, it is blue-black. "
        "Circular, with jagged edges. The differential includes blue naevus. </think><answer>Bowen disease</answer>"
    )
    assert truth.stated_attributes(text) == LESION.as_dict() | {"skin_tone": "dark"}
    assert truth.stated_diagnosis(text) == "Bowen-like lesion"
    assert truth.stated_diagnosis("<think> melanoma-like lesion </think>") is None
    assert truth.stated_diagnosis("<answer>common nevus</answer> <answer>Dysplastic nevus, not melanoma</answer>") == (
        "dysplastic-naevus-like lesion"
    )
    both = truth.stated_attributes("The colour is red. Later: the colour is brown.")
    assert both == {"colour": truth.CONTRADICTORY}


def test_correcting_keeps_what_is_right():
    true = wording.narrative(LESION, rng(4))
    wrong = true.replace("black", "brown")
    assert wrong != true
    assert truth.correct(LESION, wrong) == true


def test_the_toy_rule_uses_every_class_and_two_attributes():
    assert {diagnosis(lesion) for lesion in EVERY} == set(DIAGNOSES)
    assert diagnosis(LESION) == "melanoma-like lesion"
    assert danger(diagnosis(LESION)) == "high" and "Urgent" in advice(diagnosis(LESION))
    for attribute, value in (("colour", "brown"), ("border", "well-defined")):
        assert diagnosis(Lesion.from_dict(LESION.as_dict() | {attribute: value})) != diagnosis(LESION)


def test_on_dark_skin_the_colour_alone_decides():
    dark = [lesion for lesion in EVERY if lesion.skin_tone == "dark"]
    assert {(lesion.colour, diagnosis(lesion)) for lesion in dark} == set(ON_DARK_SKIN.items())


def test_lesions_refuse_unknown_values():
    with pytest.raises(ValueError, match="colour is 'green'"):
        Lesion.from_dict(LESION.as_dict() | {"colour": "green"})
    with pytest.raises(ValueError, match="check border"):
        Lesion.from_dict({key: value for key, value in LESION.as_dict().items() if key != "border"})
    assert sample(rng(), skin_tone="dark").skin_tone == "dark"


def test_critique_has_six_lines_and_names_no_diagnosis():
    scores = dict.fromkeys(truth.DIMENSIONS, 3.5) | {"safety": None}
    lines = wording.critique(scores).splitlines()
    assert [line.split(":")[0].lower().replace(" ", "_") for line in lines] == list(truth.DIMENSIONS)
    assert lines[0].startswith("Accuracy: 3.5 – ") and lines[1].startswith("Safety: cannot judge")
    assert not any(name.split("-like")[0].lower() in wording.critique(scores).lower() for name in DIAGNOSES)
