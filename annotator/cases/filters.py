"""Which cases the list shows."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.http import QueryDict

from scoring.models import Case, CaseFlag, Source, Split

SEPARATOR = "\t"  # between a skin tone's scale and its value; no name holds one


@dataclass(frozen=True)
class CaseFilter:
    """What was asked for; an empty string leaves that open."""

    source: str = ""
    split: str = ""
    tone: str = ""
    diagnosis: str = ""
    flagged: str = ""

    @classmethod
    def from_query(cls, query: QueryDict) -> "CaseFilter":
        return cls(**{name: query.get(name, "").strip("\n\r ")[:200] for name in cls.__dataclass_fields__})

    @property
    def is_active(self) -> bool:
        return any((self.source, self.split, self.tone, self.diagnosis, self.flagged))

    def cases(self) -> QuerySet[Case]:
        """Newest first. A value that nothing has gives an empty list, not an error."""
        found = Case.objects.order_by("-pk")
        if self.source:
            known = Source.objects.filter(pk=int(self.source)) if self.source.isdecimal() else Source.objects.none()
            found = found.filter(source__in=known)
        if self.split:
            found = found.filter(group__split=self.split)
        if self.tone == "unknown":
            found = found.filter(skin_tone="")
        elif self.tone:
            scale, _, value = self.tone.partition(SEPARATOR)
            found = found.filter(skin_tone_scale=scale, skin_tone=value)
        if self.flagged:
            found = found.filter(Exists(CaseFlag.objects.filter(case=OuterRef("pk"), resolved_at__isnull=True)))
        return found.filter(diagnosis__icontains=self.diagnosis) if self.diagnosis else found


def choices() -> dict[str, Any]:
    """The values to choose from, as the stored cases have them."""
    tones = Case.objects.exclude(skin_tone="").values_list("skin_tone_scale", "skin_tone").distinct()
    return {
        "sources": list(Source.objects.order_by("name").values_list("pk", "name")),
        "splits": Split.choices,
        "tones": [(f"{scale}{SEPARATOR}{tone}", f"{scale}: {tone}") for scale, tone in sorted(tones)],
    }
