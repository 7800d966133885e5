"""Strata of cases: by skin tone, condition or source. Quotas, overlap shares and expertise are stated in them.

A quota is a line “skin tone: dark = 33 %”, an expertise rule a line “melanoma: pigmented lesions”.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scoring.skin_tone import LEVEL_NAMES, three_levels

SKIN_TONE, CONDITION, SOURCE = "skin_tone", "condition", "source"
WORDS = {SKIN_TONE: "skin tone", CONDITION: "condition", SOURCE: "source"}
UNKNOWN = "unknown"
_QUOTA = re.compile(r"(?P<by>[^:=]+):(?P<value>[^=]+)=\s*(?P<percent>\d+(?:\.\d+)?)\s*%?")


@dataclass(frozen=True)
class CaseFacts:
    """What places a case in its strata, as stored."""

    skin_tone: str
    skin_tone_scale: str
    condition: str
    source: str

    def stratum(self, by: str) -> str:
        """Its value in one stratification; tones as light, medium or dark, what has no agreed reading as unknown."""
        if by == SKIN_TONE:
            level = three_levels(self.skin_tone, self.skin_tone_scale)
            return UNKNOWN if level is None else LEVEL_NAMES[level]
        return key(self.condition if by == CONDITION else self.source) or UNKNOWN


@dataclass(frozen=True)
class Quota:
    """``percent`` of the ratings should be of cases whose stratum ``by`` is ``value``."""

    by: str
    value: str
    percent: float


def key(words: str) -> str:
    """Names are compared without regard to case and spaces."""
    return " ".join(words.casefold().split())


def read_quotas(text: str) -> list[dict[str, Any]]:
    """Quotas as plain data, one a line. Raises ``ValueError`` that names the line and what to write."""
    quotas: list[Quota] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        found = _QUOTA.fullmatch(line)
        by = next((name for name, words in WORDS.items() if found and key(found["by"]) == words), None)
        if found is None or by is None:
            raise ValueError(f"“{line}”: write skin tone, condition or source, like “skin tone: dark = 33 %”.")
        value, percent = key(found["value"]), float(found["percent"])
        if by == SKIN_TONE and value not in (*LEVEL_NAMES, UNKNOWN):
            raise ValueError(f"“{line}”: a skin tone is {', '.join(LEVEL_NAMES)} or {UNKNOWN}.")
        if not 0 < percent <= 100:
            raise ValueError(f"“{line}”: a share lies above 0 and is at most 100 %.")
        quotas.append(Quota(by, value, percent))
    check_quotas(quotas)
    return [asdict(quota) for quota in quotas]


def check_quotas(quotas: Sequence[Quota]) -> None:
    """Raises ``ValueError`` for a value with two quotas, and where the shares of one kind exceed 100 %."""
    if len({(quota.by, quota.value) for quota in quotas}) < len(quotas):
        raise ValueError("A value has two quotas. Keep one.")
    for by, words in WORDS.items():
        total = sum(quota.percent for quota in quotas if quota.by == by)
        if total > 100:
            raise ValueError(f"The quotas by {words} add up to {total:g} %.")


def quota_lines(stored: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(f"{WORDS[one['by']]}: {one['value']} = {one['percent']:g} %" for one in stored)


def read_expertise(text: str) -> list[dict[str, str]]:
    """Rules as plain data, one a line. Raises ``ValueError`` that names the line."""
    rules: list[dict[str, str]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        condition, colon, area = line.partition(":")
        if not colon or not key(condition) or not key(area) or len(key(area)) > 80:
            raise ValueError(f"“{line}”: write a condition and the area it needs, like “melanoma: pigmented lesions”.")
        rules.append({"condition": key(condition), "needs": key(area)})
    if len({rule["condition"] for rule in rules}) < len(rules):
        raise ValueError("A condition has two rules. Keep one.")
    return rules


def expertise_lines(stored: Sequence[Mapping[str, str]]) -> str:
    return "\n".join(f"{rule['condition']}: {rule['needs']}" for rule in stored)


def needed_expertise(rules: Sequence[Mapping[str, str]], condition: str) -> str:
    """The area that a case needs: that of the first rule whose condition its reference names; empty for none."""
    named = key(condition)
    return next((rule["needs"] for rule in rules if rule["condition"] in named), "")
