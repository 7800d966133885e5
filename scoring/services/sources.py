"""Sources: where cases come from and what may be done with them."""

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from scoring.models import Source
from scoring.services.audit import record_event

RIGHTS = ("licence", "basis", "redistribute", "may_train", "may_leave_site")


@transaction.atomic
def create_source(
    *,
    name: str,
    licence: str,
    basis: str,
    actor: Any,
    redistribute: str = Source.Redistribute.REFERENCE,
    may_train: bool = False,
    may_leave_site: bool = False,
) -> Source:
    """A source with its rights. Raises ``ValidationError`` when the name is taken or a statement is missing."""
    source = Source(
        name=name.strip(),
        licence=licence.strip(),
        basis=basis.strip(),
        redistribute=redistribute,
        may_train=may_train,
        may_leave_site=may_leave_site,
    )
    source.full_clean()
    source.save()
    detail = {field: getattr(source, field) for field in RIGHTS}
    record_event(actor=actor, action="source.created", subject=source, detail=detail)
    return source


def rights_in_words(source: Source) -> list[str]:
    """What may be done with the source's cases, one sentence per right."""
    travels = {
        Source.Redistribute.EMBED: _("Images may travel with an export."),
        Source.Redistribute.REFERENCE: _("Exports name the images and their checksums; the images stay here."),
        Source.Redistribute.BLOCK: _("These cases never leave in an export."),
    }
    return [
        travels[Source.Redistribute(source.redistribute)],
        _("Models may train on them.") if source.may_train else _("Models must not train on them."),
        _("They may be sent to services outside this site.")
        if source.may_leave_site
        else _("They must not be sent to services outside this site."),
    ]
