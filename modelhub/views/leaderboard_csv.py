"""Everything on a leaderboard as lines of CSV, one figure a line, each with the hashes of what it stands on."""

import csv
from collections.abc import Iterator
from typing import Any

from modelhub.models import Leaderboard
from modelhub.published import REPORTED
from modelhub.views.benchmark_csv import Echo, text_cell
from modelhub.views.leaderboard_words import flag_words
from modelhub.views.results import DIAGNOSIS, OVERALL
from scoring.rubric import DIMENSION_KEYS

SERIES = (OVERALL, *DIMENSION_KEYS, DIAGNOSIS)
FIGURES = ("n", "clusters", "mean", "low", "high", "error", "p", "p_holm", "letters", "best", "worst")
HEADER = (
    "block",
    "series",
    "model",
    "model_id",
    "against",
    "against_id",
    "expected",
    "scored",
    "failed",
    *FIGURES,
    "detectable",
    "detectable_holm",
    "raters",
    "these_raters_only",
    "reason",
    "note",
    "weights_sha256",
    "decoding_sha256",
    "run",
    "dataset_sha256",
    "evaluator_identity",
    "rubric_sha256",
    "prompt_sha256",
    "computed_at",
)
Line = dict[str, Any]


def leaderboard_lines(board: Leaderboard) -> Iterator[str]:
    """The header, then a line per figure; ``mean`` of a pair is ``model`` minus ``against``, empty what is unknown."""
    writer = csv.DictWriter(Echo(), HEADER, restval="", extrasaction="ignore")
    yield writer.writerow(dict(zip(HEADER, HEADER, strict=True)))
    hashes = board.machine["hashes"]
    measured = {
        "dataset_sha256": hashes["dataset"],
        "evaluator_identity": hashes["evaluator"],
        "rubric_sha256": hashes["rubric"],
        "prompt_sha256": hashes["prompt"],
        "computed_at": board.computed_at.isoformat() if board.computed_at else "",
    }
    for line in (*_machine(board.machine), *_people(board.people or {})):
        yield writer.writerow({key: text_cell(value) for key, value in (measured | line).items()})
    for row in REPORTED:
        note = f"reported in {row.source}, not measured here{', about' if row.about else ''}"
        reported = {"block": "reported", "series": OVERALL, "model": row.model, "mean": row.mean, "note": note}
        yield writer.writerow({key: text_cell(value) for key, value in reported.items()})


def _machine(machine: dict[str, Any]) -> Iterator[Line]:
    models = {model["model"]: _identity(model) for model in machine["models"]}
    for model in machine["models"]:
        tally = {name: model[name] for name in ("expected", "scored", "failed")}
        note = "; ".join(flag_words(model["flags"]))
        for key in SERIES:
            yield {
                "block": "evaluator",
                "series": key,
                **models[model["model"]],
                **tally,
                **_figure(model, key),
                "note": note,
            }
    for pair in machine["pairs"]:
        left, right = models[pair["left"]], models[pair["right"]]
        against = {"against": left["model"], "against_id": left["model_id"]}
        for key in SERIES:
            yield {"block": "pair", "series": key, **right, **against, **_figure(pair, key)}
    for name, slope in machine["length"].items():
        yield {"block": f"length_{name}", "series": OVERALL, "mean": slope["slope"], **slope}
    for failure in machine["failures"]:
        note = f"{failure['case']}: {failure['error']}"
        yield {"block": "failure", **models[failure["model"]], "note": note}


def _people(people: dict[str, Any]) -> Iterator[Line]:
    for model in people.get("ratings", []):
        for key in (OVERALL, *DIMENSION_KEYS):
            name = {"model": model["name"], "model_id": model["model"]}
            yield {"block": "ratings", "series": key, **name, **_figure(model, key)}
    for model in people.get("corrected", []):
        for key in (OVERALL, *DIMENSION_KEYS):
            found = _figure(model, key)
            name = {"model": model["name"], "model_id": model["model"]}
            note = f"{found['rated']} rated by people, evaluator's own mean {found['raw']}, weight {found['weight']}"
            yield {"block": "corrected", "series": key, **name, **found, "note": note}
    for question in people.get("preferences", []):
        for standing in question["standings"]:
            for each in standing["models"]:
                name = {"model": each["name"], "model_id": each["model"]}
                votes = {"n": each["wins"] + each["losses"] + each["ties"], "mean": each["share"]}
                ends = {key: each[key] for key in ("low", "high", "best", "worst")}
                note = f"{each['wins']} wins, {each['losses']} losses, {each['ties']} ties"
                clusters = {"clusters": standing["clusters"], "reason": standing["reason"], "note": note}
                yield {"block": "preferences", "series": question["question"], **name, **votes, **ends, **clusters}


def _identity(model: dict[str, Any]) -> Line:
    return {
        "model": model["name"],
        "model_id": model["model"],
        "weights_sha256": model["weights"],
        "decoding_sha256": model["decoding"],
        "run": model["run"],
    }


def _figure(part: dict[str, Any], key: str) -> Line:
    found: Line = part["dimensions"][key] if key in DIMENSION_KEYS else part[key]
    return found
