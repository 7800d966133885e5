"""Which class was answered for which: the confusion table, and what follows of it for every class.

*Read* are the answers from which a diagnosis could be read; the others are in no figure but counted. An answer that
was read and names no single listed class is a miss of its own class and a false alarm of none. Shares have Wilson's
intervals; F1 and the means over classes a percentile bootstrap over patients or lesions. A mean over classes takes the
classes with an answer that was read. Needs numpy: for workers, never for the web process.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.resampling import SEED, weight_chunks
from scoring.wilson import wilson

RESAMPLES = 2_000
NEITHER = "the class is neither the label nor the answer of any case"
NOTHING_READ = "no answer could be read"
ONE_CLUSTER = "an interval needs values of at least two patients or lesions"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Named:
    """``named``: the one listed class that was answered, ``None`` where none or several were; ``cluster``: the patient
    or lesion. Answers that could not be read are not given as one."""

    label: str
    named: str | None
    cluster: int


def confusion(answers: Sequence[Named], labels: Iterable[str], *, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Plain data of the answers that were read; ``labels`` are all the classes.

    ``read``: how many; ``cells``: each ``label``, ``named`` and ``n`` that occurs; ``classes``: by name, each
    ``label``, ``tp``, ``fn``, ``fp``, ``tn``, ``sensitivity``, ``specificity``, ``ppv``, ``npv`` (see ``wilson``) and
    ``f1``; ``macro``: the means over classes of ``sensitivity`` (balanced accuracy), ``ppv`` and ``f1``. F1 and means
    are ``n``, ``mean`` (0 to 1), ``low``, ``high``, ``reason``."""
    listed = sorted(set(labels))
    counted = Counter((one.label, one.named) for one in answers)
    cells = sorted(counted.items(), key=lambda cell: (cell[0][0], cell[0][1] is None, cell[0][1] or ""))
    found = _by_cluster(answers, listed)
    drawn = _drawn(found, resamples)
    f1 = _f1_by_class(found, drawn, len(answers))
    return {
        "read": len(answers),
        "cells": [{"label": label, "named": named, "n": n} for (label, named), n in cells],
        "classes": [{**_class(label, counted, len(answers)), "f1": f1[place]} for place, label in enumerate(listed)],
        "macro": _macro(found, drawn),
    }


def _class(label: str, counted: Counter[tuple[str, str | None]], read: int) -> dict[str, Any]:
    tp = counted[label, label]
    fn = sum(n for (own, _named), n in counted.items() if own == label) - tp
    fp = sum(n for (_own, named), n in counted.items() if named == label) - tp
    tn = read - tp - fn - fp
    return {
        "label": label,
        **{"tp": tp, "fn": fn, "fp": fp, "tn": tn},
        "sensitivity": wilson(tp, tp + fn),
        "specificity": wilson(tn, tn + fp),
        "ppv": wilson(tp, tp + fp),
        "npv": wilson(tn, tn + fn),
    }


def _by_cluster(answers: Sequence[Named], labels: list[str]) -> tuple[Floats, Floats, Floats]:
    """Hits, labels and answers of each class, by patient or lesion: each (clusters, classes)."""
    place = {label: at for at, label in enumerate(labels)}
    names = {name: at for at, name in enumerate(sorted({one.cluster for one in answers}))}
    hits, own, named = (np.zeros((len(names), len(labels))) for _ in range(3))
    for one in answers:
        row = names[one.cluster]
        own[row, place[one.label]] += 1
        if one.named is not None:
            named[row, place[one.named]] += 1
            hits[row, place[one.label]] += one.named == one.label
    return hits, own, named


def _figures(hits: Floats, own: Floats, named: Floats) -> tuple[Floats, dict[str, Floats]]:
    """F1 of each class and the means over those with a case; (..., classes) in, NaN where a figure is undefined.

    A class that was never answered has no PPV and is in no mean of it; its F1 is 0.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * hits / (own + named)
        by_class = {"sensitivity": hits / own, "ppv": hits / named, "f1": f1}
        known = {name: (own > 0) & ~np.isnan(values) for name, values in by_class.items()}
        sums = {name: np.where(known[name], values, 0).sum(axis=-1) for name, values in by_class.items()}
        return f1, {name: sums[name] / known[name].sum(axis=-1) for name in by_class}


def _drawn(found: tuple[Floats, Floats, Floats], resamples: int) -> tuple[Floats, dict[str, Floats]] | None:
    clusters, classes = found[0].shape
    if clusters < 2:
        return None
    f1 = np.empty((resamples, classes))
    means = {name: np.empty(resamples) for name in ("sensitivity", "ppv", "f1")}
    for rows, weights in weight_chunks(clusters, resamples, np.random.default_rng(SEED)):
        f1[rows], some = _figures(*(weights @ part for part in found))
        for name, values in some.items():
            means[name][rows] = values
    return f1, means


def _f1_by_class(
    found: tuple[Floats, Floats, Floats], drawn: tuple[Floats, dict[str, Floats]] | None, read: int
) -> list[dict[str, Any]]:
    f1 = _figures(*(part.sum(axis=0) for part in found))[0]
    return [_estimate(float(one), None if drawn is None else drawn[0][:, at], read) for at, one in enumerate(f1)]


def _macro(
    found: tuple[Floats, Floats, Floats], drawn: tuple[Floats, dict[str, Floats]] | None
) -> dict[str, dict[str, Any]]:
    totals = tuple(part.sum(axis=0) for part in found)
    means = _figures(*totals)[1]
    classes = {"sensitivity": totals[1] > 0, "ppv": (totals[1] > 0) & (totals[2] > 0), "f1": totals[1] > 0}
    return {
        name: _estimate(float(one), None if drawn is None else drawn[1][name], int(classes[name].sum()))
        for name, one in means.items()
    }


def _estimate(value: float, drawn: Floats | None, n: int) -> dict[str, Any]:
    if np.isnan(value):
        reason = NEITHER if n else NOTHING_READ
        return {"n": n, "mean": None, "low": None, "high": None, "reason": reason}
    known = drawn[~np.isnan(drawn)] if drawn is not None else np.empty(0)
    if not len(known):
        return {"n": n, "mean": value, "low": None, "high": None, "reason": ONE_CLUSTER}
    low, high = np.quantile(known, [0.025, 0.975])
    return {"n": n, "mean": value, "low": float(low), "high": float(high), "reason": ""}
