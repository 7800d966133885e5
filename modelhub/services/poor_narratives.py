"""Adding poor narratives to a study on purpose: an evaluator that only ever met good ones proves nothing."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from modelhub.evaluators.poor_texts import CannotSpoil, spoil
from modelhub.models import PoorNarrative
from scoring.models import Assignment, NarrativeVersion, Study
from scoring.services.audit import record_event
from scoring.services.narratives import create_narrative
from scoring.services.queue import enqueue_versions

KINDS = tuple(PoorNarrative.Kind.values)
MOST = 2_000
PARTNERS = 20  # other cases tried for findings or a diagnosis


@dataclass(frozen=True)
class PoorCount:
    """How many were made, by kind; together fewer than asked for where texts could not be made poor."""

    by_kind: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.by_kind.values())


@transaction.atomic
def add_poor_narratives(*, study: Study, count: int, actor: Any) -> PoorCount:
    """Make ``count`` of the study's machine-written or imported texts poor, the four ways in turn, and queue them.

    Each is a narrative of its own about the same case, which raters meet as any other. The study's seed draws the
    texts; one that has been made poor in a way is not made so again. Raises ``ValidationError`` for a count out of
    range, a study that takes no narratives, and where not one could be made.
    """
    if not 1 <= count <= MOST:
        raise ValidationError({"count": _("Add 1 to %(most)s at a time.") % {"most": f"{MOST:,}"}})
    locked = Study.objects.select_for_update(of=("self",)).get(pk=study.pk)
    texts = _drawn(locked)
    made: dict[str, int] = dict.fromkeys(KINDS, 0)
    already = set(PoorNarrative.objects.filter(made_from__in=texts).values_list("made_from_id", "kind"))
    versions = []
    for number, text in enumerate(texts):
        if sum(made.values()) == count:
            break
        kind = min(KINDS, key=lambda one: (made[one], KINDS.index(one)))
        if (text.pk, kind) in already:
            continue
        version = _made_poor(text, kind, locked, [*texts[number + 1 :], *texts[:number]][:PARTNERS])
        if version is not None:
            made[kind] += 1
            versions.append(version)
    if not versions:
        raise ValidationError(
            _("No text of this study can be made poor. Add narratives with findings and a diagnosis.")
        )
    enqueue_versions(study=locked, versions=versions, actor=actor)
    record_event(actor=actor, action="study.poor_narratives", subject=study, detail=made)
    return PoorCount(made)


def _drawn(study: Study) -> list[NarrativeVersion]:
    """The study's texts that no person wrote and that were not made poor, in the order its seed draws."""
    queued = Assignment.objects.filter(study=study, purpose=Assignment.Purpose.LIVE).values("version")
    found = NarrativeVersion.objects.filter(pk__in=queued, origin=NarrativeVersion.Origin.DRAFT)
    poor = PoorNarrative.objects.filter(version=OuterRef("pk"))
    texts = found.filter(~Exists(poor)).select_related("narrative__case")
    return sorted(texts, key=lambda text: hashlib.blake2b(f"{study.seed}:{text.public_id.hex}".encode()).digest())


def _made_poor(
    text: NarrativeVersion, kind: str, study: Study, others: Sequence[NarrativeVersion]
) -> NarrativeVersion | None:
    """``None`` where this text has nothing to spoil in this way."""
    case, language = text.narrative.case, text.narrative.language
    partners = [
        other
        for other in others
        if other.narrative.case.diagnosis != case.diagnosis and other.narrative.language == language
    ]
    for partner in partners or [text]:
        try:
            spoilt = spoil(
                text.text,
                kind,
                seed=f"{study.seed}:{text.public_id.hex}",
                language=language,
                other_text=partner.text,
                other_diagnosis=partner.narrative.case.diagnosis if partners else "",
            )
        except CannotSpoil:
            continue
        version = create_narrative(
            case=case,
            text=spoilt,
            author_kind=NarrativeVersion.Author.MACHINE,
            language=language,
            truncated=text.truncated or kind == PoorNarrative.Kind.TRUNCATED,
            context_given=text.context_given,
        )
        PoorNarrative.objects.create(version=version, made_from=text, kind=kind)
        return version
    return None
