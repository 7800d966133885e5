"""Imported references: flagged at import, excluded in a new benchmark version, the old one untouched."""

import io
import json
import zipfile

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from scoring.exporters.archive import write_archive
from scoring.models import DatasetVersion, NarrativeVersion, ReferenceExclusion, ReferenceFlag, Source
from scoring.reference_flags import is_stub, reference_flags
from scoring.services.datasets import freeze_dataset, verify_dataset
from scoring.services.references import exclusions_of, flag_reference, freeze_references, imported_references
from tests.factories import make_adjudicator, make_case, make_source, make_study, make_version
from tests.scoring.test_import_dermbench import make_dermbench, record, run

GOOD = "<think> Red plaques with scales. </think><answer> Psoriasis. Review in four weeks. </answer>"


def flags(text: str = GOOD, label: str = "psoriasis", stated: str = "Psoriasis.") -> tuple[str, ...]:
    return reference_flags(stated=stated, text=text, label=label)


class TestFlags:
    @pytest.mark.parametrize(
        "text",
        [
            "I'm sorry, but I can't help with that.",
            "I’m sorry, I cannot analyze this image.",
            "As an AI language model, I do not diagnose.",
            "I am unable to provide a diagnosis.",
            "I cannot fulfil this request.",
            "抱歉，我无法提供诊断。",
            "作为人工智能，我不能给出结论。",
        ],
    )
    def test_refusals(self, text):
        assert flags(text, stated="") == ("refusal",)

    @pytest.mark.parametrize(
        "text",
        [
            GOOD,
            "Melanoma cannot be excluded; I would take a biopsy.",
            "The lesion is unable to blanch. As an aid, dermoscopy helps.",
            "I can see a plaque. It cannot be seen on the trunk.",
        ],
    )
    def test_what_is_none(self, text):
        assert flags(text) == ()

    @pytest.mark.parametrize(
        "stated, label, contrary",
        [
            ("Eczema.", "psoriasis", True),
            ("Psoriasis vulgaris is most likely.", "Psoriasis", False),
            ("Nevus.", "naevus", False),
            ("", "psoriasis", False),
            ("银屑病。", "psoriasis", False),
        ],
    )
    def test_conclusions_against_the_label(self, stated, label, contrary):
        assert ("contrary" in flags(stated=stated, label=label)) is contrary

    @pytest.mark.parametrize(
        "label",
        ["acne-cystic-12", "07Acne081101", "psoriasis_4.jpg", "acne closed comedo 3.JPG", "1234", "x_y", "a-b-c"],
    )
    def test_stubs(self, label):
        assert is_stub(label)

    @pytest.mark.parametrize(
        "label", ["psoriasis", "Herpes-zoster", "basal cell carcinoma", "HPV 16 wart", "Sweet's syndrome", "银屑病"]
    )
    def test_diagnoses_are_none(self, label):
        assert not is_stub(label)

    def test_all_three_in_fixed_order(self):
        assert flags("I'm sorry, I can't help.", label="acne-1", stated="Eczema.") == ("refusal", "contrary", "stub")


@pytest.fixture
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def source(db):
    return make_source(name="DermNet", redistribute=Source.Redistribute.REFERENCE, may_train=False)


def reference(source, number: int, text: str = GOOD, diagnosis: str = "psoriasis", **fields) -> NarrativeVersion:
    case = make_case(source=source, diagnosis=diagnosis, split="evaluation", **fields)
    version = make_version(case=case, text=f"{number} {text}", author_kind=NarrativeVersion.Author.IMPORT)
    flag_reference(version)
    return version


@pytest.fixture
def six(source) -> list[NarrativeVersion]:
    """Six references of which the last three are flagged: a refusal, a contrary one, one with a stub for its label."""
    good = [reference(source, number) for number in range(3)]
    refusal = reference(source, 3, "I'm sorry, but I can't help with that.")
    contrary = reference(source, 4, diagnosis="eczema")
    stub = reference(source, 5, diagnosis="psoriasis-vulgaris-12")
    return [*good, refusal, contrary, stub]


def freeze(source, exclude=(), reason="read by hand", actor=None, study=None):
    return freeze_references(
        study=study or make_study(), source=source, exclude=exclude, reason=reason, actor=actor or make_adjudicator()
    )


def kinds_of(version) -> set[str]:
    return set(ReferenceFlag.objects.filter(version=version).values_list("kind", flat=True))


class TestImport:
    def test_the_published_file_is_flagged_once_however_often_it_comes(self, media, tmp_path, source):
        sorry = record(1, cot="I'm sorry, but I can't help with that.")
        rows = [record(0), sorry, record(2, diagnosis="eczema"), record(3, diagnosis="psoriasis-3.jpg")]
        root = make_dermbench(tmp_path / "in", rows)
        for _ in range(2):
            run(root, source)
            found = {
                version.narrative.case.source_key[-1]: kinds_of(version)
                for version in imported_references(source).select_related("narrative__case")
            }
            assert found == {"0": set(), "1": {"refusal"}, "2": {"contrary"}, "3": {"contrary", "stub"}}
        assert ReferenceFlag.objects.count() == 4


class TestFreezing:
    def test_an_exclusion_makes_a_new_version_and_leaves_the_old_one(self, source, six):
        study, judge = make_study(), make_adjudicator()
        first = freeze(source, study=study)
        before = first.content_hash, list(first.items.values_list("version", flat=True))
        second = freeze(source, six[3:5], "a refusal and a slip", actor=judge, study=study)
        first.refresh_from_db()
        assert (first.content_hash, list(first.items.values_list("version", flat=True))) == before
        assert (first.item_count, second.item_count, second.number) == (6, 4, first.number + 1)
        assert {item.version for item in second.items.all()} == {*six[:3], six[5]}
        assert first.exclusions.count() == 0
        left = {(one.version, *one.kinds, one.reason, one.excluded_by) for one in second.exclusions.all()}
        assert left == {
            (six[3], "refusal", "a refusal and a slip", judge),
            (six[4], "contrary", "a refusal and a slip", judge),
        }
        assert verify_dataset(second).intact and {item.record["part"] for item in second.items.all()} == {"published"}

    def test_what_was_excluded_stays_so_with_its_first_reason(self, source, six):
        study, first_judge, other = make_study(), make_adjudicator(), make_adjudicator()
        freeze(source, [six[3]], "refuses", actor=first_judge, study=study)
        last = freeze(source, [six[5], six[3]], "file name", actor=other, study=study)
        reasons = {one.version: (one.reason, one.excluded_by) for one in last.exclusions.all()}
        assert reasons == {six[3]: ("refuses", first_judge), six[5]: ("file name", other)}
        assert set(exclusions_of(source)) == {six[3].pk, six[5].pk}

    def test_only_flagged_ones_with_a_reason_and_only_of_this_source(self, source, six):
        with pytest.raises(ValidationError, match="Only flagged references"):
            freeze(source, [six[0]])
        with pytest.raises(ValidationError, match="Say why"):
            freeze(source, [six[3]], " ")
        stranger = reference(make_source(name="Elsewhere"), 9, "I'm sorry, I can't help.")
        with pytest.raises(ValidationError, match="Only flagged references"):
            freeze(source, [stranger])
        assert not DatasetVersion.objects.exists() and not ReferenceExclusion.objects.exists()

    def test_nothing_new_and_nothing_left_are_refused(self, source, six):
        study = make_study()
        freeze(source, study=study)
        with pytest.raises(ValidationError, match="Nothing has changed since DermBench v1"):
            freeze(source, study=study)
        with pytest.raises(ValidationError, match="No reference of “Empty” is left"):
            freeze(make_source(name="Empty"))

    def test_the_manifest_of_an_export_names_what_was_left_out(self, media, source, six):
        dataset, buffer = freeze(source, [six[3]], "refuses"), io.BytesIO()
        write_archive(dataset, buffer, prompt="Describe.")
        with zipfile.ZipFile(buffer) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            assert "certified by nobody here" in archive.read("README.md").decode()
        (left,) = manifest["excluded_references"]
        assert (left["version"], left["flags"], left["reason"]) == (str(six[3].public_id), ["refusal"], "refuses")
        assert manifest["part"] == "published" and left["by"] != str(dataset.created_by.public_id)

    def test_certified_versions_are_compared_with_certified_ones_alone(self, source, six):
        study = make_study()
        freeze(source, study=study)
        with pytest.raises(ValidationError, match="would be empty"):
            freeze_dataset(kind="dermbench", study=study, actor=make_adjudicator())

    def test_an_exclusion_without_a_reason_cannot_be_stored(self, source, six):
        dataset = freeze(source)
        with pytest.raises(IntegrityError), transaction.atomic():
            ReferenceExclusion.objects.create(
                dataset=dataset, version=six[3], kinds=[], reason="", excluded_by=dataset.created_by
            )
