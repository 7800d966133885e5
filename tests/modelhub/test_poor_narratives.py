"""Narratives made poor on purpose: each in its way, the same ones every time, and blind."""

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from modelhub.evaluators.poor_texts import UNSAFE_ADVICE, CannotSpoil, spoil
from modelhub.models import PoorNarrative
from modelhub.services.poor_narratives import KINDS, add_poor_narratives
from scoring.models import NarrativeVersion
from scoring.narrative_format import ADVICE, DIAGNOSIS, FINDINGS, parse
from scoring.services.queue import enqueue_versions
from tests import factories

GOOD = (
    "<think> A brown plaque lies on the arm. It is oval. Seborrhoeic keratosis is likely because the border is even. "
    "Melanoma is less likely. </think><answer> Seborrhoeic keratosis. Come back if it changes. </answer>"
)
OTHER = (
    "<think> Silver scales cover a red elbow. Psoriasis is likely because of them. </think>"
    "<answer> Psoriasis. Use an emollient. </answer>"
)
CHINESE = "<think> 手臂可见褐色斑块。考虑脂溢性角化病。 </think><answer> 脂溢性角化病。定期随访。 </answer>"


def parts(text: str, kind: str) -> list[str]:
    return [text[step.start : step.end] for step in parse(text).steps if step.kind == kind]


def made(kind: str, text: str = GOOD, **values) -> str:
    return spoil(text, kind, **({"seed": "7", "other_text": OTHER, "other_diagnosis": "psoriasis"} | values))


class TestText:
    def test_corrupted_has_the_other_s_findings_and_its_own_conclusion(self):
        text = made("corrupted")
        assert parts(text, FINDINGS) == ["Silver scales cover a red elbow."]
        assert parts(text, DIAGNOSIS) == parts(GOOD, DIAGNOSIS) and "brown plaque" not in text

    def test_truncated_is_a_beginning_without_a_conclusion(self):
        text = made("truncated")
        assert GOOD.startswith(text) and 0.25 < len(text) / len(GOOD) < 0.65
        assert parse(text).truncated and parse(text).diagnosis is None

    def test_contradicted_argues_as_before_and_concludes_otherwise(self):
        text = made("contradicted")
        assert parse(text).diagnosis == "Psoriasis." and "Seborrhoeic keratosis is likely because" in text
        assert parts(text, FINDINGS) == parts(GOOD, FINDINGS)

    def test_unsafe_has_harmful_advice_in_place_of_its_own(self):
        text = made("unsafe")
        assert set(parts(text, ADVICE)) & set(UNSAFE_ADVICE["en"]) and "Come back" not in text
        bare = GOOD.replace(" Come back if it changes.", "")
        assert any(words in made("unsafe", bare) for words in UNSAFE_ADVICE["en"])

    def test_chinese_stays_chinese(self):
        assert any(words in made("unsafe", CHINESE, language="zh") for words in UNSAFE_ADVICE["zh"])
        assert parse(made("contradicted", CHINESE, language="zh", other_diagnosis="银屑病")).diagnosis == "银屑病。"

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_same_seed_gives_the_same_text(self, kind):
        assert made(kind) == made(kind) != GOOD

    @pytest.mark.parametrize(
        "kind, text, values",
        [
            ("corrupted", GOOD, {"other_text": "Nothing."[:0]}),
            ("truncated", "Psoriasis.", {}),
            ("contradicted", "It is brown.", {}),
            ("contradicted", GOOD, {"other_diagnosis": "seborrheic keratosis"}),
            ("unsafe", "It is brown.", {}),
        ],
    )
    def test_what_cannot_be_spoilt_is_refused(self, kind, text, values):
        with pytest.raises(CannotSpoil):
            made(kind, text, **values)


def study_of_texts(count: int, **fields):
    study = factories.make_study(overlap=1)
    texts = []
    for number in range(count):
        odd = number % 2
        case = factories.make_case(diagnosis="psoriasis" if odd else "seborrhoeic keratosis")
        texts.append(factories.make_version(case=case, text=f"{OTHER if odd else GOOD}\n{number}", **fields))
    enqueue_versions(study=study, versions=texts, actor=None)
    return study


@pytest.mark.django_db
class TestStudy:
    def test_a_quarter_of_each_kind_joins_the_queue(self):
        study = study_of_texts(12)
        found = add_poor_narratives(study=study, count=8, actor=None)
        assert found.by_kind == dict.fromkeys(KINDS, 2) and PoorNarrative.objects.count() == 8
        queued = set(study.assignments.values_list("version_id", flat=True))
        for poor in PoorNarrative.objects.select_related("version__narrative", "made_from__narrative"):
            assert poor.version_id in queued and poor.version.text != poor.made_from.text
            assert poor.version.narrative.case_id == poor.made_from.narrative.case_id
            assert poor.version.narrative_id != poor.made_from.narrative_id
            assert (poor.version.author_kind, poor.version.origin) == ("machine", "draft")

    def test_none_is_made_twice_or_from_a_poor_one(self):
        study = study_of_texts(4)
        add_poor_narratives(study=study, count=4, actor=None)
        add_poor_narratives(study=study, count=4, actor=None)
        made_from = set(PoorNarrative.objects.values_list("made_from", flat=True))
        assert not made_from & set(PoorNarrative.objects.values_list("version", flat=True))
        pairs = list(PoorNarrative.objects.values_list("made_from", "kind"))
        assert len(pairs) == len(set(pairs)) > 4

    def test_where_nothing_can_be_made_it_says_so_and_leaves_nothing(self):
        study = factories.make_study(overlap=1)
        texts = [factories.make_version(text="Brown.")]
        enqueue_versions(study=study, versions=texts, actor=None)
        with pytest.raises(ValidationError, match="No text of this study can be made poor"):
            add_poor_narratives(study=study, count=3, actor=None)
        assert NarrativeVersion.objects.count() == 1

    def test_the_page_makes_them_and_refuses_a_bad_number(self, client):
        client.force_login(factories.make_administrator())
        study, url = study_of_texts(4), reverse("modelhub:poor_narratives")
        assert study.title in client.get(url).content.decode()
        assert client.post(url, {"study": study.public_id, "count": 0}).status_code == 422
        assert not PoorNarrative.objects.exists()
        answer = client.post(url, {"study": study.public_id, "count": 4}, follow=True)
        assert "4 poor narratives were made and queued." in answer.content.decode()

    @pytest.mark.parametrize("make", [factories.make_dermatologist, factories.make_researcher])
    def test_only_administrators_may(self, client, make):
        client.force_login(make())
        assert client.get(reverse("modelhub:poor_narratives")).status_code == 403
