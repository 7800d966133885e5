"""What gives a label away, and what only looks as if it did."""

import pytest

from modelhub.drafting.leaks import Vocabulary, betrayals, speaks_of_caption

VOCABULARY = Vocabulary(["seborrhoeic keratosis", "Granuloma faciale", "Ulcer", "other"])


def named(text: str, reference: str = "psoriasis") -> list[tuple[str, str]]:
    return [(flag.kind, flag.words) for flag in VOCABULARY.named(text, reference)]


@pytest.mark.parametrize(
    ("text", "reference", "words"),
    [
        ("This is psoriasis.", "psoriasis", "psoriasis"),
        ("Seborrheic keratoses on the back", "seborrhoeic keratosis", "Seborrheic keratoses"),
        ("a keratosis of the seborrhoeic type", "seborrhoeic keratosis", "a keratosis of the seborrhoeic type"),
        ("An SK on the back", "seborrheic keratosis", "SK"),
        ("BASAL-CELL CARCINOMA", "Basal cell carcinoma", "BASAL-CELL CARCINOMA"),
        ("basalcellcarcinoma", "basal cell carcinoma", "basalcellcarcinoma"),
        ("BCC", "basal cell carcinoma", "BCC"),
        ("Bowen's disease", "Bowen disease", "Bowen's disease"),
        ("可见银屑 病皮损", "psoriasis", "银屑病"),
        ("plaque psoriasis", "银屑病", "plaque psoriasis"),
        ("mel\u200banoma", "melanoma", "melanoma"),
        ("ｍｅｌａｎｏｍａ", "melanoma", "melanoma"),
        ("an ulcer", "ulcer", "ulcer"),
        ("multiple naevi", "melanocytic nevus", "naevi"),
    ],
)
def test_the_reference_and_its_synonyms_are_found(text, reference, words):
    assert ("names_reference", words) in named(text, reference)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no evidence of melanoma", "melanoma"),
        ("It is not a mole.", "mole"),
        ("a Melanoma-like spot", "Melanoma"),
        ("granuloma   faciale", "granuloma   faciale"),
        ("未见黑色素瘤", "黑色素瘤"),
        ("shingles", "shingles"),
        ("allergic contact dermatitis", "allergic contact dermatitis"),
    ],
)
def test_any_other_diagnosis_is_found_inside_a_negation_too(text, words):
    assert named(text) == [("names_diagnosis", words)]


@pytest.mark.parametrize(
    "text",
    [
        "a warty, psoriasiform, acneiform surface with an ulcer and scale",
        "lichenified, melanotic and urticated skin",
        "ten lesions of 5 mm, sk and hs written small",
        "Basal parts are darker than the cell-like dots; the carcinogen is not visible",
        "边界清楚的红色斑块，表面有鳞屑",
        "A single oval brown plaque with a sharp border",
        "",
    ],
)
def test_words_that_only_look_alike_are_none(text):
    assert named(text) == []


def test_a_longer_name_is_not_also_the_shorter_one_inside_it():
    assert named("contact dermatitis", "eczema") == [("names_diagnosis", "contact dermatitis")]
    assert named("恶性黑色素瘤") == [("names_diagnosis", "恶性黑色素瘤")]


@pytest.mark.parametrize(
    "text",
    [
        "Given the label, this is eczema.",
        "As the provided diagnosis states, it is eczema.",
        "This agrees according to the ground truth.",
        "The known diagnosis explains it.",
        "We were told that it is eczema.",
        "The label says eczema.",
        "the reference\ndiagnosis",
        "根据给定的诊断，考虑湿疹",
        "与参考诊断一致",
    ],
)
def test_a_text_that_betrays_what_it_was_told_is_found(text):
    assert [flag.kind for flag in betrayals(text)] == ["told"]


@pytest.mark.parametrize(
    "text",
    [
        "Given the distribution, the diagnosis of eczema is likely.",
        "Biopsy is the gold standard for diagnosis.",
        "活检是诊断的金标准",
        "The differential diagnosis given above stands.",
        "A confirmed diagnosis needs a biopsy.",
        "Given the differential diagnosis, a biopsy is advised.",
    ],
)
def test_a_text_that_reasons_by_itself_betrays_nothing(text):
    assert betrayals(text) == []


def test_reasoning_about_the_description_is_noted():
    assert [flag.words for flag in speaks_of_caption("The description mentions scale.")] == ["The description"]
    assert speaks_of_caption("A description-like word is none: descriptions vary.") == []
