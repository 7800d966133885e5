"""Classification versions: labelled evaluation cases frozen without texts, or refused in clear words."""

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from scoring.models import CaseFlag, DatasetVersion
from scoring.services.labelled import freeze_labelled, labelled_sources
from tests.factories import make_administrator, make_case, make_source, make_study

pytestmark = pytest.mark.django_db


def freeze(source, study=None) -> DatasetVersion:
    return freeze_labelled(study=study or make_study(), source=source, actor=make_administrator())


def evaluation(source, diagnosis: str, **fields):
    return make_case(source=source, split="evaluation", diagnosis=diagnosis, **fields)


def test_a_source_without_evaluation_cases_is_refused():
    source = make_source()
    make_case(source=source, diagnosis="eczema")
    with pytest.raises(ValidationError, match="has no evaluation case"):
        freeze(source)
    assert not DatasetVersion.objects.exists()


def test_one_class_is_refused_by_name():
    source = make_source()
    [evaluation(source, "eczema") for _ in range(2)]
    with pytest.raises(ValidationError, match=r"“eczema”\. A classification needs two"):
        freeze(source)


def test_two_spellings_of_one_label_are_refused_by_name():
    source = make_source()
    [evaluation(source, label) for label in ("naevus", "Nevus", "eczema")]
    with pytest.raises(ValidationError, match="Nevus = naevus"):
        freeze(source)


def test_only_evaluation_cases_with_a_picture_and_no_open_flag_are_frozen_as_they_are():
    source, other = make_source(), make_source()
    first, second = evaluation(source, "eczema"), evaluation(source, "psoriasis")
    make_case(source=source, diagnosis="melanoma")
    evaluation(source, "melanoma", image=False)
    evaluation(other, "melanoma")
    flagged = evaluation(source, "melanoma")
    CaseFlag.objects.create(case=flagged, kind=CaseFlag.Kind.BAD_IMAGE, raised_by=make_administrator())
    dataset = freeze(source)
    assert {row.case: row.label for row in dataset.labelled.all()} == {first: "eczema", second: "psoriasis"}
    assert (dataset.kind, dataset.number, dataset.item_count) == ("labelled", 1, 2)
    assert all(row.record["split"] == "evaluation" and row.record["images"] for row in dataset.labelled.all())
    first.diagnosis = "tinea"
    first.save()
    assert dataset.labelled.get(case=first).label == "eczema"


def test_the_same_again_is_refused_and_a_new_case_makes_the_next_version():
    source, study = make_source(), make_study()
    [evaluation(source, label) for label in ("eczema", "psoriasis")]
    first = freeze(source, study)
    with pytest.raises(ValidationError, match="Nothing has changed"):
        freeze(source, study)
    evaluation(source, "melanoma")
    second = freeze(source, study)
    assert second.number == 2 and second.content_hash != first.content_hash


def test_sources_are_listed_in_two_queries():
    for _ in range(3):
        source = make_source()
        [evaluation(source, label) for label in ("eczema", "psoriasis", "psoriasis")]
    make_case(source=make_source(), diagnosis="eczema")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        rows = labelled_sources()
    assert [(row["cases"], row["classes"]) for row in rows] == [(3, 2)] * 3
    assert len(queries) == 2
