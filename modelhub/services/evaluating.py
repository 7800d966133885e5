"""Asking for narratives to be evaluated: those of a study, of a dataset, or the candidates of a DermBench run."""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from modelhub.evaluators.providers import open_evaluator
from modelhub.models import BenchmarkRun, EvaluationEntry, EvaluationRun, EvaluatorVersion, Generation, RetestEntry, Run
from modelhub.services.retesting import retest_sample
from modelhub.services.runs import create_run
from scoring.models import Assignment, DatasetVersion, NarrativeVersion, Study

MOST_NARRATIVES = 60_000
MOST_NAMED = 20
Pool = Study | DatasetVersion | BenchmarkRun


@transaction.atomic
def request_evaluation(*, evaluator: EvaluatorVersion, pool: Pool, actor: Any, retest: bool = False) -> Run:
    """Queue a run in which ``evaluator`` scores every narrative of ``pool``; what it has answered before costs nothing.

    ``retest``: ``retest_sample`` is asked about a second time.
    Raises ``ValidationError`` for a pool without narratives, one too large, cases it may not be shown (by name), and a
    judge that compares where no case has a reference.
    """
    versions = narratives_of(pool)
    references = references_for(versions, pool)
    _check(evaluator, pool, versions, references)
    words = pool_words(pool)
    again = retest_sample(versions) if retest else []
    run = create_run(
        kind=Run.Kind.EVALUATION,
        title=f"{evaluator.name}: {words}",
        plan={
            "evaluator": str(evaluator.public_id),
            "identity": evaluator.identity_hash,
            "pool": words,
            "retest": len(again),
            "on_gpu": evaluator.provider == "dermeval",
        },
        actor=actor,
        total=len(versions) + len(again),
    )
    asked = EvaluationRun.objects.create(run=run, evaluator=evaluator, pool=words[:200])
    EvaluationEntry.objects.bulk_create(
        EvaluationEntry(evaluation_run=asked, version=version, reference=references.get(version.pk))
        for version in versions
    )
    RetestEntry.objects.bulk_create(
        RetestEntry(evaluation_run=asked, version=version, reference=references.get(version.pk)) for version in again
    )
    return run


def narratives_of(pool: Pool) -> list[NarrativeVersion]:
    """Each version once, in the order in which they were made."""
    keys: Any  # a subquery over another table each time
    if isinstance(pool, Study):
        keys = Assignment.objects.filter(study=pool).values("version")
    elif isinstance(pool, DatasetVersion):
        keys = pool.items.values("version")
    else:
        keys = Generation.objects.filter(run=pool.run, version__isnull=False).values("version")
    found = NarrativeVersion.objects.filter(pk__in=keys).select_related("narrative__case__source")
    return list(found.order_by("pk"))


def pool_words(pool: Pool) -> str:
    if isinstance(pool, BenchmarkRun):
        return f"candidates of {pool.run.title}"
    return f"narratives of {pool}"


def references_for(versions: Iterable[NarrativeVersion], pool: Pool) -> dict[int, NarrativeVersion]:
    """Version → the reference of its case: DermBench's own for its candidates, else the newest certified text of the
    case, else one that was imported with it; never a version of the very narrative."""
    wanted = list(versions)
    cases = {version.narrative.case_id for version in wanted}
    texts = NarrativeVersion.objects.filter(narrative__case__in=cases).select_related("narrative")
    if isinstance(pool, BenchmarkRun):
        ranked = [texts.filter(pk__in=pool.dataset.items.values("version"))]
    else:
        imported = texts.filter(author_kind=NarrativeVersion.Author.IMPORT)
        ranked = [imported.order_by("pk"), texts.certified().order_by("pk")]
    by_case: dict[int, list[NarrativeVersion]] = {}
    for found in ranked:  # the better ones last
        for text in found:
            by_case.setdefault(text.narrative.case_id, []).append(text)
    return {
        version.pk: others[-1]
        for version in wanted
        if (
            others := [
                text
                for text in by_case.get(version.narrative.case_id, [])
                if text.narrative_id != version.narrative_id and text.sha256 != version.sha256
            ]
        )
    }


def _check(
    row: EvaluatorVersion, pool: Pool, versions: list[NarrativeVersion], references: dict[int, NarrativeVersion]
) -> None:
    if not versions:
        raise ValidationError(f"There are no {pool_words(pool)} yet.")
    if len(versions) > MOST_NARRATIVES:
        raise ValidationError(f"One run evaluates at most {MOST_NARRATIVES:,} narratives; these are {len(versions):,}.")
    evaluator = open_evaluator(row)
    cases = {version.narrative.case_id: version.narrative.case for version in versions}.values()
    refused = [(case.code, reason) for case in cases if (reason := evaluator.refusal(case))]
    if refused:
        named = "; ".join(f"case {code}: {reason}" for code, reason in refused[:MOST_NAMED])
        more = f"; and {len(refused) - MOST_NAMED} more" if len(refused) > MOST_NAMED else ""
        raise ValidationError(f"These narratives cannot be scored by {row.name}: {named}{more}.")
    if row.needs_reference and not references:
        raise ValidationError(
            f"{row.name} compares with a reference text, and none of these cases has another certified or imported "
            "text. Choose a judge without a reference."
        )
