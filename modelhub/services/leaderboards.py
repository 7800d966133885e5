"""Keeping leaderboards: which there are, whether they are behind, and asking a worker for them. No numpy here."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from modelhub.models import BenchmarkRun, Leaderboard, ModelVersion, Run
from modelhub.services.runs import create_run
from scoring.digest import content_hash
from scoring.models import DatasetVersion, Preference, Rating

RULES = 2  # a change of how figures are computed makes every leaderboard anew
PEOPLE_AT_MOST_EVERY = timedelta(minutes=10)
AFTER_FAILURE = timedelta(minutes=10)


def request_leaderboards(*, actor: Any = None) -> Run | None:
    """Queue a run that brings every leaderboard up to date.

    ``None`` where none is behind, one is on its way, or the last one failed a moment ago.
    """
    make_missing_leaderboards()
    behind = [board for board in Leaderboard.objects.all() if machine_is_behind(board) or people_are_behind(board)]
    with transaction.atomic():
        asked = Run.objects.filter(kind=Run.Kind.STATISTICS)
        failed = asked.filter(state=Run.State.FAILED, finished_at__gt=timezone.now() - AFTER_FAILURE)
        if not behind or asked.active().exists() or failed.exists():
            return None
        return create_run(kind=Run.Kind.STATISTICS, title="Leaderboards", plan={}, actor=actor, total=len(behind))


def make_missing_leaderboards() -> None:
    """A row for every dataset, evaluator and prompt of a finished DermBench run; others have no six dimensions."""
    scored = BenchmarkRun.objects.filter(results__isnull=False, dataset__kind=DatasetVersion.Kind.DERMBENCH)
    finished = scored.order_by()
    kept = set(Leaderboard.objects.values_list("dataset_id", "evaluator_id", "prompt_id"))
    for key in finished.values_list("dataset_id", "evaluator_id", "prompt_id").distinct():
        if key not in kept:
            dataset, evaluator, prompt = key
            Leaderboard.objects.get_or_create(dataset_id=dataset, evaluator_id=evaluator, prompt_id=prompt)


def sources_of(board: Leaderboard) -> list[tuple[ModelVersion, BenchmarkRun]]:
    """Each model with its last finished benchmark of this kind, models in the order they were registered."""
    found = BenchmarkRun.objects.filter(
        dataset=board.dataset_id, evaluator=board.evaluator_id, prompt=board.prompt_id, results__isnull=False
    )
    last: dict[int, tuple[ModelVersion, BenchmarkRun]] = {}
    for benchmark in found.select_related("run").prefetch_related("candidates__base").order_by("run__created_at", "pk"):
        last |= {model.pk: (model, benchmark) for model in benchmark.candidates.all()}
    return [last[key] for key in sorted(last)]


def machine_mark(board: Leaderboard) -> str:
    """Changes with the models, the runs that measured them and the rules of the figures."""
    measured = [
        [model.pk, model.name, model.kin, benchmark.pk, str(benchmark.run.finished_at)]
        for model, benchmark in sources_of(board)
    ]
    return content_hash({"rules": RULES, "sources": measured, "evaluator": board.evaluator.canaries})


def people_mark(board: Leaderboard) -> str:
    """Changes with every rating that counts and every blind vote, and with the models."""
    ratings = Rating.objects.sealed_first().filter(rubric=board.evaluator.rubric_id).count()
    votes = Preference.objects.filter(origin=Preference.Origin.BLIND).count()
    return content_hash({"rules": RULES, "ratings": ratings, "votes": votes, "machine": machine_mark(board)})


def machine_is_behind(board: Leaderboard) -> bool:
    return board.machine_mark != machine_mark(board)


def people_are_behind(board: Leaderboard) -> bool:
    """Whether people said more since; not asked again within ten minutes."""
    recent = board.computed_at is not None and timezone.now() - board.computed_at < PEOPLE_AT_MOST_EVERY
    return not (recent and board.people_mark) and board.people_mark != people_mark(board)
