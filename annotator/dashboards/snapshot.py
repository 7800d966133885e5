"""What the dashboard reads: the snapshot named ``dashboard``, as a worker stored it.

Its content, every key always present, counts as whole numbers, unknown means as ``None``:

``waiting``  {"ratings": open slots, "adjudications": versions, "flags": open case flags}
``certified``  {"dermcot": versions of training cases, "dermbench": versions of evaluation cases}
``ratings_per_day``  the last days in order, each {"day": "2026-11-23", "count": 3, "simulated": 1}; simulated is a part
``dimensions``  the six in order, each {"key", "n", "mean"} over current live ratings
``rubric``  number of the rubric version of those ratings, ``None`` without any
``funnel``  {"total": n, "states": [{"key", "label", "count"}]}; every version is in exactly one state, so they add up
``tones``  certified versions, each {"scale", "tone", "count"}; both words empty where the tone is unknown
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelhub.models import Snapshot

NAME = "dashboard"


@dataclass(frozen=True)
class DashboardSnapshot:
    """The stored content and when it was computed."""

    content: dict[str, Any]
    computed_at: datetime


def read_snapshot() -> DashboardSnapshot | None:
    """The last stored statistics; ``None`` until a worker has computed them once."""
    row = Snapshot.objects.filter(name=NAME).first()
    return DashboardSnapshot(row.content, row.computed_at) if row else None
