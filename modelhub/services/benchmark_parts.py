"""A benchmark's results in parts: right diagnoses by class, scores by skin tone, and without cases seen in training."""

from typing import Any

import numpy as np

from modelhub.evaluators.closed_labels import ClosedLabelsEvaluator
from modelhub.models import BenchmarkEntry, BenchmarkRun, ModelVersion, Training
from modelhub.services.image_twins import CLOSE, EXACT, Twin, find_twins
from modelhub.services.leaderboard_flags import lineage
from modelhub.services.score_tables import DIAGNOSIS, OVERALL, SCALES, ScoreTable
from modelhub.services.unread_answers import unread_answers
from scoring.classification import Answer, classification
from scoring.closed_labels import ClosedLabels
from scoring.confusion import Named, confusion
from scoring.fairness import by_group
from scoring.intervals import mean_interval
from scoring.models import Case, DatasetItem, DatasetVersion

JUDGED, CLOSED = "judged", "closed"
NAMED_TWINS = 50
UNKNOWN = "what it was trained on is not known here"


def benchmark_parts(benchmark: BenchmarkRun, table: ScoreTable) -> dict[str, Any]:
    """``classification``, ``fairness`` and ``contamination``, each by model (public id), in the table's order."""
    models = [source.model for source in table.sources]
    cases = {case.pk: case for case in Case.objects.filter(pk__in=table.cases)}
    for one in benchmark.dataset.labelled.all():
        cases[one.case_id].diagnosis = one.label  # as it was frozen
    return {
        "classification": _by_model(models, lambda row: classified(benchmark, models[row], cases)),
        "fairness": _by_model(models, lambda row: in_tones(table, row, cases)),
        "contamination": _by_model(models, lambda row: contamination(table, row, cases)),
    }


def _by_model(models: list[ModelVersion], figures: Any) -> list[dict[str, Any]]:
    return [{"model": str(model.public_id), "name": model.name, **figures(row)} for row, model in enumerate(models)]


def classified(benchmark: BenchmarkRun, model: ModelVersion, cases: dict[int, Case]) -> dict[str, Any]:
    """``judged``: by the evaluator, which may know synonyms; ``closed``: by the words of the benchmark's own labels,
    where the evaluator does not go by these itself. On a classification version also ``confusion``, of the way that
    goes by the labels' words, and ``unread``: why how many answers were not judged."""
    closed = ClosedLabels(case.diagnosis for case in cases.values())
    entries = BenchmarkEntry.objects.filter(benchmark=benchmark, model=model)
    columns = ("case_id", "evaluation__diagnosis_right", "generation__version__diagnosis")
    answers: dict[str, list[Answer]] = {JUDGED: [], CLOSED: []}
    rows = list(entries.order_by("case_id").values_list(*columns))
    for key, right, stated in rows:
        case = cases[key]
        answers[JUDGED].append(Answer(case.diagnosis, right, case.group_id))
        answers[CLOSED].append(Answer(case.diagnosis, closed.right(stated or "", case.diagnosis), case.group_id))
    by_words = benchmark.evaluator.provider == ClosedLabelsEvaluator.provider
    if by_words:
        del answers[CLOSED]
    found: dict[str, Any] = {name: classification(some) for name, some in answers.items()}
    if benchmark.dataset.kind == DatasetVersion.Kind.LABELLED:
        found[JUDGED if by_words else CLOSED]["confusion"] = confusion(
            [
                Named(
                    cases[key].diagnosis, (closed.only if by_words else closed.one)(stated or ""), cases[key].group_id
                )
                for key, right, stated in rows
                if (right is not None if by_words else stated and stated.strip())
            ],
            closed.labels,
        )
        found["unread"] = unread_answers(entries, closed if by_words else None)
    return found


def in_tones(table: ScoreTable, row: int, cases: dict[int, Case]) -> dict[str, Any]:
    """``scales``: of each skin tone scale, by name, ``scale`` and by series what ``by_group`` gives; ``unknown``: cases
    whose tone is not recorded."""
    scales = sorted({case.skin_tone_scale for case in cases.values() if case.skin_tone_scale})
    return {
        "scales": [{"scale": scale, **_tones(table, row, cases, scale)} for scale in scales],
        "unknown": sum(not case.skin_tone for case in cases.values()),
    }


def _tones(table: ScoreTable, row: int, cases: dict[int, Case], scale: str) -> dict[str, Any]:
    here = [place for place, key in enumerate(table.cases) if cases[key].skin_tone_scale == scale]
    found = {}
    for name in table.series:
        known = [place for place in here if not np.isnan(table.values[name][row, place])]
        found[name] = by_group(
            [float(table.values[name][row, place]) for place in known],
            [cases[table.cases[place]].skin_tone for place in known],
            [int(table.clusters[place]) for place in known],
            scale=SCALES[name],
        )
    return found


def contamination(table: ScoreTable, row: int, cases: dict[int, Case]) -> dict[str, Any]:
    """``trained_on``: data sets of the model and what it was tuned from; ``exact`` and ``near``: cases with a twin
    among theirs; ``twins``: the first of them; ``overall`` and ``diagnosis``: each ``all`` and ``without`` those cases.
    ``reason``: why nothing is known."""
    trainings = Training.objects.filter(result__in=[each.pk for each in lineage(table.sources[row].model)])
    datasets = {one.dataset_id: one.dataset for one in trainings.select_related("dataset").order_by("pk")}
    if not datasets:
        return {"reason": UNKNOWN, "trained_on": []}
    learned = DatasetItem.objects.filter(dataset__in=datasets).values_list("version__narrative__case", flat=True)
    try:
        twins = find_twins(table.cases, set(learned))
    except OSError as error:
        return {"reason": f"a picture cannot be read ({error})", "trained_on": [str(one) for one in datasets.values()]}
    clean = ~np.isin(np.array(table.cases), [twin.case for twin in twins])
    return {
        "reason": "",
        "trained_on": [str(dataset) for dataset in datasets.values()],
        **{kind: sum(twin.kind == kind for twin in twins) for kind in (EXACT, CLOSE)},
        "twins": _named(twins, cases),
        **{
            name: {
                "all": _mean(table, name, row, np.full(clean.shape, True)),
                "without": _mean(table, name, row, clean),
            }
            for name in (OVERALL, DIAGNOSIS)
            if name in table.series
        },
    }


def _named(twins: list[Twin], cases: dict[int, Case]) -> list[dict[str, Any]]:
    shown = twins[:NAMED_TWINS]
    learned = {case.pk: case for case in Case.objects.filter(pk__in=[twin.training_case for twin in shown])}
    return [
        {
            "case": cases[twin.case].code,
            "training_case": learned[twin.training_case].code,
            "kind": twin.kind,
            "distance": twin.distance,
        }
        for twin in shown
    ]


def _mean(table: ScoreTable, name: str, row: int, inside: Any) -> dict[str, Any]:
    values = table.values[name][row]
    known = inside & ~np.isnan(values)
    return mean_interval(values[known].tolist(), table.clusters[known].tolist(), scale=SCALES[name]).as_dict()
