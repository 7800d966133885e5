"""The protocol of a study: the one list of what it locks when it starts, in the order people read it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A part of the protocol; ``fields`` are names of ``Study``'s columns."""

    key: str
    fields: tuple[str, ...]


SECTIONS = (
    Section(
        "plan", ("title", "question", "arms", "inclusion", "exclusion_rules", "planned_analysis", "ethics", "clinician")
    ),
    Section(
        "ratings",
        (
            "overlap",
            "overlap_high",
            "overlap_percent",
            "overlap_by",
            "reveal",
            "own_diagnosis_first",
            "from_scratch_percent",
        ),
    ),
    Section(
        "queue", ("strategy", "quotas", "expertise", "crossed", "minimum_gap", "seed", "lease_minutes", "break_minutes")
    ),
    Section("learning", ("gate_kappa", "gold_percent", "repeat_percent")),
    Section("exclusion", ("hasty_limit", "identical_limit", "gold_limit")),
)
FIELDS: tuple[str, ...] = tuple(name for section in SECTIONS for name in section.fields)
FIXED_AT_START = frozenset({"arms", "overlap", "crossed", "seed"})
AMENDABLE: tuple[str, ...] = tuple(name for name in FIELDS if name not in FIXED_AT_START)
MUST_BE_WRITTEN = ("title", "question", "inclusion", "exclusion_rules", "planned_analysis", "ethics")
