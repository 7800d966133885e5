"""Freezing, previewing and verifying dataset versions."""

import io

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from scoring.digest import content_hash
from scoring.models import AuditEvent, CaseFlag, DatasetVersion, NarrativeVersion
from scoring.services.certification import adjudicate
from scoring.services.datasets import DERMBENCH, DERMCOT, freeze_dataset, preview_dataset, verify_dataset
from scoring.services.labelled import freeze_labelled
from scoring.services.narratives import revise_version
from tests.factories import (
    NARRATIVE,
    make_adjudicator,
    make_administrator,
    make_case,
    make_queue,
    make_rater,
    make_source,
    make_study,
    make_version,
    rate,
)
from tests.scoring.certified import certified_case, certify

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_study(overlap=2)


@pytest.fixture
def raters(study):
    return [make_rater(study), make_rater(study)]


@pytest.fixture
def actor():
    return make_administrator()


def versions_of(dataset: DatasetVersion) -> list[NarrativeVersion]:
    return [item.version for item in dataset.items.select_related("version")]


def test_an_empty_dataset_is_refused_with_what_to_do(study, actor) -> None:
    make_queue(study, 1)
    with pytest.raises(ValidationError, match=r"no training case .* has a certified narrative. Queue narratives"):
        freeze_dataset(kind=DERMCOT, study=study, actor=actor)
    with pytest.raises(ValidationError, match="no evaluation case"):
        freeze_dataset(kind=DERMBENCH, study=study, actor=actor)
    with pytest.raises(ValidationError, match="no dataset of kind"):
        freeze_dataset(kind="everything", study=study, actor=actor)


def test_splits_never_mix(study, raters, actor) -> None:
    _, training = certified_case(study, raters)
    _, evaluation = certified_case(study, raters, split="evaluation")
    assert versions_of(freeze_dataset(kind=DERMCOT, study=study, actor=actor)) == [training.version]
    assert versions_of(freeze_dataset(kind=DERMBENCH, study=study, actor=actor)) == [evaluation.version]


def test_only_currently_certified_texts_of_this_study_are_taken(study, raters, actor) -> None:
    _, kept = certified_case(study, raters)
    _, rejected = certified_case(study, raters)
    type(rejected).objects.filter(pk=rejected.pk).update(outcome="rejected")
    other = make_study(overlap=1)
    certified_case(other)
    make_queue(study, 1)
    assert versions_of(freeze_dataset(kind=DERMCOT, study=study, actor=actor)) == [kept.version]


def test_an_adjudicated_acceptance_counts_and_is_marked(study, raters, actor) -> None:
    (version,) = make_queue(study, 1)
    rate(study, raters[0], 5, safety=1)
    rate(study, raters[1], 5)
    waiting = version.certifications.get(is_current=True)
    adjudicate(certification=waiting, adjudicator=make_adjudicator(), outcome="certified", reason="Advice is safe.")
    dataset = freeze_dataset(kind=DERMCOT, study=study, actor=actor)
    assert dataset.items.get().record["adjudicated"] is True


def test_dermcot_takes_the_latest_certified_version_of_each_narrative(study, raters, actor) -> None:
    case, first = certified_case(study, raters)
    revised = revise_version(version=first.version, text=NARRATIVE + " Photograph it.", author=make_rater(study))
    certify(study, revised, raters)
    unfinished = revise_version(version=revised, text=NARRATIVE + " Later.", author=raters[0])
    sibling = make_version(case=case, text=NARRATIVE.replace("oval", "round"))
    certify(study, sibling, raters)
    dataset = freeze_dataset(kind=DERMCOT, study=study, actor=actor)
    assert set(versions_of(dataset)) == {revised, sibling}
    assert unfinished not in versions_of(dataset)


def test_dermbench_has_one_reference_a_case_the_one_certified_last(study, raters, actor) -> None:
    case = make_case(split="evaluation")
    newer_text = make_version(case=case)
    older_text = make_version(case=case, text=NARRATIVE.replace("oval", "round"))
    certify(study, older_text, raters)
    certify(study, newer_text, raters)
    assert versions_of(freeze_dataset(kind=DERMBENCH, study=study, actor=actor)) == [newer_text]


def test_a_case_with_an_open_flag_stays_out_until_it_is_resolved(study, raters, actor) -> None:
    case, _ = certified_case(study, raters)
    certified_case(study, raters)
    flag = CaseFlag.objects.create(case=case, kind="identifying", raised_by=raters[0])
    preview = preview_dataset(kind=DERMCOT, study=study)
    assert (preview.items, preview.held_by_flag) == (1, 1)
    assert freeze_dataset(kind=DERMCOT, study=study, actor=actor).item_count == 1
    CaseFlag.objects.filter(pk=flag.pk).update(resolved_at="2026-01-01T00:00Z")
    assert freeze_dataset(kind=DERMCOT, study=study, actor=actor).item_count == 2


def test_the_record_names_exactly_what_was_frozen(study, raters, actor) -> None:
    case, certification = certified_case(study, raters)
    dataset = freeze_dataset(kind=DERMCOT, study=study, actor=actor)
    record = dataset.items.get().record
    assert record["case"] == str(case.public_id)
    assert record["text_sha256"] == certification.version.sha256
    assert record["ratings"] == sorted(str(r.public_id) for r in certification.ratings.all())
    assert len(record["ratings"]) == 2
    assert record["images"] == [{"image": str(i.public_id), "sha256": i.sha256} for i in case.images.all()]
    assert record["source"] == {"name": case.source.name, "redistribute": "embed", "may_train": True}
    assert dataset.content_hash == content_hash([record])
    assert AuditEvent.objects.get(action="dataset.frozen").detail["content_hash"] == dataset.content_hash


def test_freezing_again_without_a_change_is_refused(study, raters, actor) -> None:
    certified_case(study, raters)
    first = freeze_dataset(kind=DERMCOT, study=study, actor=actor)
    with pytest.raises(ValidationError, match="Nothing has changed since DermCoT v1"):
        freeze_dataset(kind=DERMCOT, study=study, actor=actor)
    certified_case(study, raters)
    second = freeze_dataset(kind=DERMCOT, study=study, actor=actor)
    assert (first.number, second.number, second.item_count) == (1, 2, 2)
    assert first.items.count() == 1


def test_the_order_is_by_random_public_ids(study, raters, actor) -> None:
    for _ in range(5):
        certified_case(study, raters)
    dataset = freeze_dataset(kind=DERMCOT, study=study, actor=actor)
    cases = [item.record["case"] for item in dataset.items.order_by("position")]
    assert cases == sorted(cases)


def test_the_preview_counts_what_freezing_would_take(study, raters, actor) -> None:
    blocked = make_source(redistribute="block", may_train=False)
    certified_case(study, raters, diagnosis="melanoma", skin_tone="V", skin_tone_scale="Fitzpatrick")
    certified_case(study, raters, source=blocked, skin_tone="", skin_tone_scale="")
    certified_case(study, raters, diagnosis="melanoma", skin_tone="V", skin_tone_scale="Fitzpatrick")
    preview = preview_dataset(kind=DERMCOT, study=study)
    assert (preview.items, preview.cases, preview.blocked, preview.may_not_train) == (3, 3, 1, 1)
    assert preview.diagnoses == (("melanoma", 2), ("seborrhoeic keratosis", 1))
    assert [(t.scale, t.tone, t.count) for t in preview.tones] == [("", "", 1), ("Fitzpatrick", "V", 2)]
    assert preview.previous is None
    dataset = freeze_dataset(kind=DERMCOT, study=study, actor=actor)
    assert preview_dataset(kind=DERMCOT, study=study).previous == dataset
    assert dataset.item_count == preview.items


def test_queries_do_not_grow_with_the_items(study, raters, actor) -> None:
    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            freeze_dataset(kind=DERMCOT, study=study, actor=actor)
        return len(queries)

    certified_case(study, raters)
    few = count()
    for _ in range(4):
        certified_case(study, raters)
    assert count() == few


def test_verification_finds_nothing_in_an_untouched_dataset(study, raters, actor) -> None:
    certified_case(study, raters)
    dataset = freeze_dataset(kind=DERMCOT, study=study, actor=actor)
    check = verify_dataset(dataset)
    assert check.intact
    assert check.computed_hash == dataset.content_hash


def test_verification_names_what_changed(study, raters, actor) -> None:
    case, certification = certified_case(study, raters)
    other, _ = certified_case(study, raters)
    dataset = freeze_dataset(kind=DERMCOT, study=study, actor=actor)
    NarrativeVersion.objects.filter(pk=certification.version_id).update(text="Something else.")
    image = case.images.get()
    with open(image.file.path, "ab") as stream:
        stream.write(b"x")
    other.images.get().file.storage.delete(other.images.get().file.name)
    text = " ".join(verify_dataset(dataset).problems)
    assert f"(case {case.code}) has changed" in text
    assert f"Image {image.public_id} of case {case.code} has changed" in text
    assert f"of case {other.code} is missing" in text


def test_verification_finds_a_record_that_was_tampered_with(study, raters, actor) -> None:
    certified_case(study, raters)
    dataset = freeze_dataset(kind=DERMCOT, study=study, actor=actor)
    item = dataset.items.get()
    item.record = item.record | {"diagnosis": "melanoma"}
    item.save()
    check = verify_dataset(dataset)
    assert not check.intact
    assert "The records hash to" in check.problems[0]


def test_the_command_names_every_version_and_what_differs(study, raters, actor) -> None:
    case, _ = certified_case(study, raters)
    freeze_dataset(kind=DERMCOT, study=study, actor=actor)
    source = make_source()
    labelled = [make_case(source=source, split="evaluation", diagnosis=label) for label in ("eczema", "psoriasis")]
    freeze_labelled(study=study, source=source, actor=actor)
    out = io.StringIO()
    call_command("verify_datasets", stdout=out)
    assert out.getvalue().count(": as frozen, ") == 2
    file = labelled[0].images.get().file
    file.storage.delete(file.name)
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 of the dataset versions"):
        call_command("verify_datasets", stdout=out)
    assert f"of case {labelled[0].code} is missing" in out.getvalue()
    assert case.code not in out.getvalue()
