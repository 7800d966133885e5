"""The rows of a frozen version: one under the next number, and its items in their order."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from scoring.models import DatasetItem, DatasetVersion, NarrativeVersion, Study

BATCH = 500


def create_dataset(*, kind: str, study: Study, actor: Any, **fields: Any) -> DatasetVersion:
    """The next version of ``kind``. Raises ``ValidationError`` where another was frozen at the same moment."""
    last = DatasetVersion.objects.filter(kind=kind).aggregate(last=Max("number"))["last"] or 0
    try:
        with transaction.atomic():
            return DatasetVersion.objects.create(kind=kind, number=last + 1, study=study, created_by=actor, **fields)
    except IntegrityError as error:
        raise ValidationError(_("Another dataset was frozen at the same moment. Try again.")) from error


def create_items(*, dataset: DatasetVersion, rows: Sequence[tuple[NarrativeVersion, dict[str, Any]]]) -> None:
    """Texts with their records, in this order."""
    DatasetItem.objects.bulk_create(
        (
            DatasetItem(dataset=dataset, position=position, version=version, record=record)
            for position, (version, record) in enumerate(rows, start=1)
        ),
        batch_size=BATCH,
    )
