"""Stored parts of a benchmark's results as rows of tables; nothing is computed here but words."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from modelhub.views.confusion import confusion_of, unread_rows
from modelhub.views.results import DIAGNOSIS, ROW_KEYS, Figure, row_names

WAYS = {"judged": _("by the evaluator"), "closed": _("by the label's words")}
KEYS = (*ROW_KEYS, DIAGNOSIS)
PLAIN = ("n", "mean", "low", "high", "reason")


def parts_of(results: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """``None`` before a worker computed them."""
    if not results or "fairness" not in results:
        return None
    alone = all(model["overall"] is None for model in results["models"])  # nothing but the diagnosis was judged
    found = [(model, key) for model in results["classification"] for key in WAYS if key in model]
    ways = [(model, key) for model, key in found if alone or model[key]["judged"]]
    return {
        "classification": [_accuracy(model, key) for model, key in ways],
        "unread": unread_rows(results["classification"]),
        "scales": _scales(results["fairness"]),
        "tone_unknown": max((model["unknown"] for model in results["fairness"]), default=0),
        "contamination": [_contaminated(model) for model in results["contamination"]],
    }


def plain(found: Mapping[str, Any]) -> Figure:
    return Figure(**{name: found[name] for name in PLAIN})


def shown(found: Mapping[str, Any], key: str) -> Figure:
    """Shares in per cent."""
    return plain(found).in_per_cent() if key == DIAGNOSIS else plain(found)


def _accuracy(model: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = model[key]
    return {
        "model": model["name"],
        "key": key,
        "way": WAYS[key],
        **{name: found[name] for name in ("expected", "judged", "right")},
        **{name: shown(found[name], DIAGNOSIS) for name in ("of_judged", "of_expected", "balanced")},
        "classes": [
            {**{name: one[name] for name in ("label", "expected", "right")}, "share": shown(one, DIAGNOSIS)}
            for one in found["classes"]
        ],
        "confusion": confusion_of(found),
    }


def _scales(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One table per scale: its tones as columns, each model's figures as rows."""
    found: dict[str, dict[str, Any]] = {}
    for model in models:
        for scale in model["scales"]:
            table = found.setdefault(
                scale["scale"], {"scale": scale["scale"], "tones": _tones(models, scale), "rows": []}
            )
            table["rows"] += [
                _tone_row(model["name"], key, scale[key], table["tones"])
                for key in KEYS
                if key in scale and _any(scale[key])
            ]
    return [found[name] for name in sorted(found)]


def _tones(models: list[dict[str, Any]], wanted: Mapping[str, Any]) -> list[str]:
    """Every tone of a scale that any figure of any model has."""
    same = [one for model in models for one in model["scales"] if one["scale"] == wanted["scale"]]
    return sorted({row["group"] for one in same for key in KEYS if key in one for row in one[key]["groups"]})


def _any(found: Mapping[str, Any]) -> bool:
    return any(row["n"] for row in found["groups"])


def _tone_row(model: str, key: str, found: Mapping[str, Any], tones: list[str]) -> dict[str, Any]:
    by_tone = {row["group"]: shown(row, key) for row in found["groups"]}
    gap = shown({"n": 0, **found["gap"]}, key)
    return {
        "model": model,
        "name": row_names()[key],
        "cells": [by_tone.get(tone) for tone in tones],
        "worst": found["worst"],
        "gap": gap,
    }


def _contaminated(model: Mapping[str, Any]) -> dict[str, Any]:
    if model["reason"]:
        return {"model": model["name"], "reason": model["reason"], "trained_on": model["trained_on"]}
    known = [key for key in ("overall", DIAGNOSIS) if key in model]
    both = {key: {name: shown(model[key][name], key) for name in ("all", "without")} for key in known}
    kept = {name: model[name] for name in ("trained_on", "exact", "near", "twins")}
    return {"model": model["name"], "reason": "", **kept, **both}
