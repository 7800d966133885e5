"""A classification's stored confusion as tables: every class, the classes against each other, what is mixed up most."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from modelhub.views.dataset_overview import cell
from modelhub.views.results import Figure

SHARES = ("sensitivity", "specificity", "ppv", "npv", "f1")
PLAIN = ("n", "mean", "low", "high", "reason")
MOST_IN_TABLE = 12  # classes; a larger table is read by nobody
MIXED_UP = 20
WHYS = {
    "not_written": _("No text was written"),
    "refused": _("The model refused to answer"),
    "nothing": _("No final diagnosis was named"),
    "several": _("Several of the listed labels were named"),
    "doubted": _("The label was denied or left open"),
    "none": _("None of the listed labels was named"),
    "unjudged": _("The judge's answer could not be read"),
}


def confusion_of(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """``None`` where the classes that were answered are not known. Shares in per cent."""
    stored = found.get("confusion")
    if stored is None:
        return None
    counts = {(one["label"], one["named"]): one["n"] for one in stored["cells"]}
    expected = {one["label"]: one["expected"] for one in found["classes"]}
    return {
        "read": stored["read"],
        "classes": [
            {"label": one["label"], "expected": expected.get(one["label"], 0), "figures": _figures(one, SHARES)}
            for one in sorted(stored["classes"], key=lambda one: (-expected.get(one["label"], 0), one["label"]))
        ],
        "macro": {name: _figure(one) for name, one in stored["macro"].items()},
        "table": _table([one["label"] for one in stored["classes"]], counts),
        "mixed_up": _mixed_up(counts),
    }


def unread_rows(models: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each reason that occurs, with a count for each model; none where no reasons are stored."""
    known = [model["unread"] for model in models if "unread" in model]
    return [
        {"why": words, "counts": [one[why] for one in known]}
        for why, words in WHYS.items()
        if any(m[why] for m in known)
    ]


def _figure(found: Mapping[str, Any]) -> Figure:
    return Figure(**{name: found[name] for name in PLAIN}).in_per_cent()


def _figures(found: Mapping[str, Any], names: Sequence[str]) -> list[Figure]:
    return [_figure(found[name]) for name in names]


def _table(labels: list[str], counts: Mapping[tuple[str, str | None], int]) -> dict[str, Any] | None:
    """Labels by answers, deeper tinted the larger the part of its row; ``None`` for too many classes, or none."""
    if not 0 < len(labels) <= MOST_IN_TABLE:
        return None
    neither = any(named is None for _label, named in counts)
    columns = [*labels, *([None] if neither else [])]
    rows = []
    for label in labels:
        found = [counts.get((label, column), 0) for column in columns]
        cells = [
            {"cell": cell(n, sum(found)) if n else cell(0, 1), "right": column == label}
            for n, column in zip(found, columns, strict=True)
        ]
        rows.append({"label": label, "cells": cells, "all": sum(found)})
    return {"labels": labels, "neither": neither, "rows": rows}


def _mixed_up(counts: Mapping[tuple[str, str | None], int]) -> list[dict[str, Any]]:
    """The wrong answers that occur most: ``label``, ``named`` (``None``: no single label), ``n``, ``of`` its cases."""
    wrong = [(label, named, n) for (label, named), n in counts.items() if named != label]
    wrong.sort(key=lambda one: (-one[2], one[0], one[1] or ""))
    of = {label: sum(n for (own, _named), n in counts.items() if own == label) for label, _named, _n in wrong}
    return [{"label": label, "named": named, "n": n, "of": of[label]} for label, named, n in wrong[:MIXED_UP]]
