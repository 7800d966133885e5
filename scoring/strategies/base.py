"""What every which-next strategy takes and gives: facts about a study's waiting versions in, their places out.

A strategy never chooses a slot. It gives each waiting version a rank; ranks and the fixed order keys become
columns that the database sorts by, so a claim costs the same under each of them.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

HIGHEST_RANK = 9_999


class Facts(Protocol):
    """A study as the strategies see it. Everything is by version key, and read only when asked for."""

    seed: int
    quotas: Sequence[Mapping[str, Any]]

    def waiting(self) -> Sequence[int]:
        """Versions with a slot that is open."""

    def strata(self) -> Mapping[int, Mapping[str, str]]:
        """Of each waiting version: stratification to value."""

    def shares(self) -> Mapping[tuple[str, str], float]:
        """(stratification, value) to its percent of the slots that are taken or done; empty before the first."""

    def scores(self) -> Mapping[int, Sequence[Mapping[str, float | None]]]:
        """First scores of each waiting version that has any."""

    def pushed(self) -> Mapping[int, float]:
        """Numbers from outside, where there is one."""


@dataclass(frozen=True)
class Place:
    """``rank`` 0 to 9,999, higher first; ``why`` says so in plain data: ``{"rule": …}`` and its figures."""

    rank: int
    why: Mapping[str, Any]


@dataclass(frozen=True)
class Strategy:
    """``places``: versions it leaves out rank 0. ``in_order``: ties go by when they were added, not at random."""

    places: Callable[[Facts], Mapping[int, Place]]
    in_order: bool = False

    def order_key(self, *, seed: int, version: int, version_id: str, slot: int) -> int:
        """What breaks ties between slots: 62 random bits fixed by the seed, or the version's own number."""
        if self.in_order:
            return version
        digest = hashlib.blake2b(f"{seed}:{version_id}:{slot}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) >> 2


def clipped(rank: float) -> int:
    return max(0, min(HIGHEST_RANK, round(rank)))
