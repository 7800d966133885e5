"""Which of two saves of a draft is the newer: pages save by themselves, late, twice and from several tabs."""

from collections.abc import Mapping
from typing import Any


class DraftConflict(Exception):
    """Another page of hers has saved since this one last knew: what it saved, and its revision."""

    def __init__(self, revision: int, content: Mapping[str, Any]) -> None:
        super().__init__(f"The draft stands at revision {revision}.")
        self.revision, self.content = revision, content


def replaces(content: Mapping[str, Any], base: int, *, kept: Mapping[str, Any], revision: int) -> bool:
    """Whether ``content``, which builds on revision ``base``, replaces what is ``kept`` at ``revision``.

    Content holds the ``fields``, the ``page`` that sends them (a random id of each opening) and its ``count`` of
    saves: a page's own older save that arrives late changes nothing. Raises ``DraftConflict`` for another page's.
    """
    if kept.get("page") == content["page"]:
        return int(content["count"]) > int(kept.get("count", 0))
    if kept and revision != base:
        raise DraftConflict(revision, kept)
    return True
