"""Scores of the ablation's narratives as means and paired differences, in the form that the hub's result pages read."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.ablation_data import TONES, DrawnCase
from bench.reporting import table
from modelhub.ml.synthetic import truth
from modelhub.ml.synthetic.lesion import diagnosis
from scoring.intervals import mean_interval, paired_interval
from scoring.rubric import DIMENSION_KEYS, DIMENSION_NAMES, overall

SERIES = (*DIMENSION_KEYS, "overall", "diagnosis")
NAMES = {**DIMENSION_NAMES, "overall": "Mean of six", "diagnosis": "Right diagnosis, %"}
Values = dict[str, dict[tuple[int, str], float]]  # series → (seed, case) → value


def score_texts(cases: Sequence[DrawnCase], texts: Mapping[str, str], seed: int) -> Values:
    """What each text is worth by the drawing's truth; a dimension that cannot be judged has no value."""
    values: Values = {name: {} for name in SERIES}
    for case in cases:
        found = truth.score(case.lesion, texts[case.key])
        right = float(truth.stated_diagnosis(texts[case.key]) == diagnosis(case.lesion))
        for name, value in {**found, "overall": overall(found), "diagnosis": right}.items():
            if value is not None:
                values[name][seed, case.key] = value
    return values


def merge(parts: Sequence[Values]) -> Values:
    return {name: {key: value for part in parts for key, value in part[name].items()} for name in SERIES}


def compare(
    arms: Mapping[str, Values],
    names: Mapping[str, str],
    cases: Sequence[DrawnCase],
    also: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """`models` and `pairs` (each arm against the first, and `also`) over these cases, as stored benchmark results.

    Intervals are Student's t over cases: the seeds' values of one case are one cluster.
    """
    wanted = {case.key for case in cases}
    chosen = {arm: {n: within(v, wanted) for n, v in values.items()} for arm, values in arms.items()}
    base, *others = chosen
    pairs = [(base, arm) for arm in others] + [pair for pair in also if set(pair) <= set(chosen)]
    return {
        "models": [
            {"model": arm, "name": names[arm], "expected": len(wanted), "scored": len(wanted), "failed": 0}
            | figures(
                {n: mean_interval(list(v.values()), [case for _, case in v]).as_dict() for n, v in values.items()}
            )
            for arm, values in chosen.items()
        ],
        "pairs": [
            {"left": left, "right": right}
            | figures({name: difference(chosen[left][name], chosen[right][name]) for name in SERIES})
            for left, right in pairs
        ],
    }


def within(values: dict[tuple[int, str], float], wanted: set[str]) -> dict[tuple[int, str], float]:
    return {key: value for key, value in values.items() if key[1] in wanted}


def difference(left: dict[tuple[int, str], float], right: dict[tuple[int, str], float]) -> dict[str, Any]:
    return paired_interval(left, right, {key: key[1] for key in left}).as_dict()


def figures(found: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "dimensions": {key: found[key] for key in DIMENSION_KEYS},
        "overall": found["overall"],
        "diagnosis": found["diagnosis"],
    }


def by_tone(
    arms: Mapping[str, Values],
    names: Mapping[str, str],
    cases: Sequence[DrawnCase],
    also: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """`compare` over all cases, and over those of each skin tone."""
    groups = {"all": list(cases)}
    groups |= {tone: [case for case in cases if case.lesion.skin_tone == tone] for tone in TONES}
    return {group: compare(arms, names, some, also) for group, some in groups.items()}


def per_seed(arms: Mapping[str, Values]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean by arm, seed and series: how much of a difference is the seed's."""
    means: dict[str, dict[str, dict[str, float]]] = {}
    for arm, values in arms.items():
        for seed in sorted({key[0] for key in values["overall"]}):
            own = {n: [value for key, value in v.items() if key[0] == seed] for n, v in values.items()}
            means.setdefault(arm, {})[str(seed)] = {n: sum(v) / len(v) for n, v in own.items() if v}
    return means


def markdown(results: Mapping[str, Any]) -> str:
    """One table: per group of cases and arm its means, and beneath each the paired difference to the first arm."""
    heads = ["cases", "arm", "n", *(NAMES[name] for name in ("diagnosis", "overall", *DIMENSION_KEYS))]
    rows: list[list[str]] = []
    for group, found in results.items():
        base = found["models"][0]["model"]
        names = {model["model"]: model["name"] for model in found["models"]}
        for model in found["models"]:
            rows.append([group, model["name"], str(model["overall"]["n"]), *cells(model, signed=False)])
            for pair in (pair for pair in found["pairs"] if pair["right"] == model["model"]):
                against = "base" if pair["left"] == base else f"“{names[pair['left']]}”"
                rows.append(["", f"difference to {against}", str(pair["overall"]["n"]), *cells(pair, signed=True)])
    return table(heads, rows)


def cells(part: Mapping[str, Any], *, signed: bool) -> list[str]:
    found = {**part["dimensions"], "overall": part["overall"], "diagnosis": part["diagnosis"]}
    return [
        words(found[name], 100 if name == "diagnosis" else 1, signed=signed)
        for name in ("diagnosis", "overall", *DIMENSION_KEYS)
    ]


def words(figure: Mapping[str, Any], scale: float, *, signed: bool) -> str:
    """Mean and interval, or a dash."""
    if figure["mean"] is None:
        return "–"
    digits = 1 if scale == 100 else 2
    form = f"{{:{'+' if signed else ''}.{digits}f}}"
    mean = form.format(scale * figure["mean"])
    if figure["low"] is None:
        return mean
    return f"{mean} ({form.format(scale * figure['low'])} to {form.format(scale * figure['high'])})"
