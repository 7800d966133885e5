"""The row of a frozen version: numbered by kind, and refused in words where two are frozen at once."""

import pytest
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from scoring.models import DatasetVersion
from scoring.services.dataset_rows import create_dataset
from tests.factories import make_administrator, make_study

pytestmark = pytest.mark.django_db


def create(kind: str = DatasetVersion.Kind.DERMCOT) -> DatasetVersion:
    actor = make_administrator()
    return create_dataset(kind=kind, study=make_study(), actor=actor, content_hash="ab" * 32, item_count=1)


def test_each_kind_is_numbered_by_itself() -> None:
    made = [create(), create(), create(DatasetVersion.Kind.DERMBENCH)]
    assert [dataset.number for dataset in made] == [1, 2, 1]


def test_the_second_of_two_at_once_is_told_to_try_again(monkeypatch) -> None:
    create()
    # What it had seen before the first was stored.
    monkeypatch.setattr(QuerySet, "aggregate", lambda *_args, **_named: {"last": 0})
    with pytest.raises(ValidationError, match="frozen at the same moment"):
        create()
    assert DatasetVersion.objects.count() == 1
