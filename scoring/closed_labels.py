"""Which of some listed labels a final diagnosis names, told from its words alone."""

from collections.abc import Iterable

from scoring.diagnosis import names_reference, words_of

# beside a label's own words they turn it round or leave it open
DOUBT = frozenset({"no", "not", "non", "neither", "nor", "never", "without", "exclude", "excluded", "excluding",
                   "unlikely", "rule", "ruled", "cannot", "isn", "versus", "vs", "other"})  # fmt: skip
HAN_DOUBT = ("不是", "并非", "不能", "无法", "排除", "除外", "否定", "不考虑")


class ClosedLabels:
    """Reads which of some labels a final diagnosis names, by its words alone; synonyms are not known here."""

    def __init__(self, labels: Iterable[str]) -> None:
        self.labels = sorted(set(labels))
        self._words = {label: words_of(label) for label in self.labels}

    def right(self, stated: str, label: str) -> bool | None:
        """Whether ``stated`` names ``label`` and no other one; ``None`` where nothing is stated.

        A label within a longer one that is named ("psoriasis" in "pustular psoriasis") does not count as named;
        several without a choice are wrong.
        """
        if not stated.strip():
            return None
        one = self.one(stated)
        return one is not None and (self._words[one] or one) == (self._words[label] or label)

    def one(self, stated: str) -> str | None:
        """The one label that ``stated`` names, in whichever spelling; ``None`` where it names none or several."""
        named = self.named(stated)
        return named[0] if len({self._words[one] or one for one in named}) == 1 else None

    def named(self, stated: str) -> list[str]:
        """The labels that ``stated`` names, without those within a longer one of them."""
        said = words_of(stated)
        named = [
            one for one in self.labels if (self._words[one] <= said if self._words[one] else _literal(stated, one))
        ]
        return [one for one in named if not any(self._words[one] < self._words[other] for other in named)]

    def only(self, stated: str) -> str | None:
        """The one label that ``stated`` affirms; ``None`` where it names none or several, or denies or doubts it."""
        named = self.named(stated)
        if len(named) != 1 or (words_of(stated) - self._words[named[0]]) & DOUBT:
            return None
        around = stated.replace(named[0], "")
        return None if any(sign in around for sign in HAN_DOUBT) else named[0]


def _literal(stated: str, label: str) -> bool:
    """For labels without a Latin word, such as Chinese ones."""
    return bool(names_reference(stated, label))
