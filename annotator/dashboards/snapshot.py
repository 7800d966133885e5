"""What the dashboard reads: the snapshot that ``modelhub.services.statistics`` stores.

Its content, every key always present, counts as whole numbers, unknown means as ``None``:

``waiting``  {"ratings": free slots, "adjudications": versions, "revisions": versions, "flags": open case flags}
``certified``  {"dermcot": versions of training cases, "dermbench": versions of evaluation cases}
``ratings_per_day``  the last days in order, each {"day": "2026-11-23", "count": 3, "simulated": 1}; simulated is a part
``dimensions``  the six in order, each {"key", "n", "mean"} over current live ratings under the newest rubric
``rubric``  number of that rubric version, ``None`` without a rating
``funnel``  {"total": n, "states": [{"key", "count"}]}; every version but DermBench candidates is in exactly
one state, so they add up
``tones``  certified versions, each {"scale", "tone", "count"}; both words empty where the tone is unknown
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelhub.models import Snapshot
from modelhub.services.statistics import NAME


@dataclass(frozen=True)
class DashboardSnapshot:
    """The stored content and when it was computed."""

    content: dict[str, Any]
    computed_at: datetime


def read_snapshot() -> DashboardSnapshot | None:
    """The last stored statistics; ``None`` until a worker has computed them once."""
    row = Snapshot.objects.filter(name=NAME).first()
    return DashboardSnapshot(row.content, row.computed_at) if row else None
