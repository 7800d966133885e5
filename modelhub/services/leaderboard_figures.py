"""Computing a leaderboard and storing it; numpy, so for workers only."""

from typing import Any

import numpy as np
from django.utils import timezone

from modelhub.models import BenchmarkRun, Leaderboard, ModelVersion
from modelhub.services.benchmark_results import table_results
from modelhub.services.corrected_means import corrected_means
from modelhub.services.evaluations import evaluator_summary
from modelhub.services.human_figures import human_figures
from modelhub.services.leaderboard_flags import flags_of
from modelhub.services.leaderboards import machine_is_behind, machine_mark, people_are_behind, people_mark, sources_of
from modelhub.services.score_tables import OVERALL, ScoreTable, Source, gather_scores
from scoring.length_slope import length_slope


def refresh_leaderboard(board: Leaderboard) -> bool:
    """Compute and store what is behind; whether anything was."""
    changed: dict[str, Any] = {}
    if machine_is_behind(board):
        changed |= {"machine_mark": machine_mark(board), "machine": machine_figures(board)}
    if people_are_behind(board) or changed:
        models = [model for model, _ in sources_of(board)]
        people = human_figures(board, models) | {"corrected": corrected_means(board)}
        changed |= {"people_mark": people_mark(board), "people": people}
    if changed:
        Leaderboard.objects.filter(pk=board.pk).update(**changed, computed_at=timezone.now())
    return bool(changed)


def machine_figures(board: Leaderboard) -> dict[str, Any]:
    """``table_results`` over each model's last run, best mean first, with hashes, flags and the length slope."""
    sources = [Source(model, benchmark) for model, benchmark in sources_of(board)]
    table = gather_scores(sources)
    results = table_results(table)
    for source, row, stored in zip(sources, table.words, results["models"], strict=True):
        stored |= provenance(source.model, source.benchmark)
        stored["words"] = None if np.isnan(row).all() else float(np.nanmedian(row))
        stored["flags"] = flags_of(source.model, board.evaluator)
    results["models"].sort(key=lambda model: -1.0 if model[OVERALL]["mean"] is None else -model[OVERALL]["mean"])
    results["length"] = {name: slope(table, own) for name, own in (("pooled", False), ("own", True))}
    results["hashes"] = {
        "dataset": board.dataset.content_hash,
        "evaluator": board.evaluator.identity_hash,
        "rubric": board.evaluator.rubric.content_hash,
        "prompt": board.prompt.content_hash,
    }
    results["evaluator"] = evaluator_summary(board.evaluator)
    return results


def provenance(model: ModelVersion, benchmark: BenchmarkRun) -> dict[str, Any]:
    """Which weights wrote how, in which run."""
    return {
        "weights": model.weights_hash,
        "family": model.kin,
        "synthetic": model.synthetic,
        "run": str(benchmark.run.public_id),
        "decoding": benchmark.manifest.get("decoding_hash", ""),
    }


def slope(table: ScoreTable, own: bool) -> dict[str, Any]:
    """Points of the mean per doubling of the words; ``own``: beside each model's own level."""
    return length_slope(table.values[OVERALL], table.words, table.clusters, model_effects=own).as_dict()


def boards_behind() -> list[Leaderboard]:
    boards = Leaderboard.objects.select_related("dataset", "evaluator__rubric", "evaluator__model", "prompt")
    return [board for board in boards if machine_is_behind(board) or people_are_behind(board)]
