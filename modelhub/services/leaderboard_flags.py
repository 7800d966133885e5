"""Why a model's place on a leaderboard may be too good: its judge's kin, or a judge that chose its lessons."""

from collections.abc import Iterator

from modelhub.models import Draft, Evaluation, EvaluatorVersion, Generation, ModelVersion, Training
from scoring.models import DatasetVersion

FAMILY, ITSELF, CIRCULAR = "family", "itself", "circular"


def flags_of(model: ModelVersion, evaluator: EvaluatorVersion) -> list[dict[str, str]]:
    """Each with ``kind`` and ``detail`` (plain data): the family, the model's own name, or the dataset.

    *family*: the judge is of the candidate's family, or tuned from the same model; *itself*: it is the candidate or
    what that was tuned from; *circular*: the evaluator had scored texts before they were frozen for the candidate to
    learn from (a filter does), or wrote them.
    """
    found = []
    judge = evaluator.model
    if judge is not None and judge.pk in {each.pk for each in lineage(model)}:
        found.append({"kind": ITSELF, "detail": judge.name})
    elif judge is not None and (kin := common_kin(judge, model)):
        found.append({"kind": FAMILY, "detail": kin})
    return found + [{"kind": CIRCULAR, "detail": str(dataset)} for dataset in lessons_by(evaluator, model)]


def common_kin(one: ModelVersion, other: ModelVersion) -> str:
    """The family of both, or the model that both were tuned from; empty where they are not known to be kin."""
    if one.kin and one.kin == other.kin:
        return one.kin
    shared = {each.pk for each in lineage(one)}
    return next((each.name for each in lineage(other) if each.pk in shared), "")


def lineage(model: ModelVersion | None) -> Iterator[ModelVersion]:
    """The model and what it was tuned from, in turn."""
    while model is not None:
        yield model
        model = model.base


def lessons_by(evaluator: EvaluatorVersion, model: ModelVersion) -> list[DatasetVersion]:
    """What the model or its bases were trained on and this evaluator had a hand in."""
    trained = Training.objects.filter(result__in=[each.pk for each in lineage(model)]).select_related("dataset")
    datasets = {training.dataset_id: training.dataset for training in trained.order_by("pk")}
    return [dataset for dataset in datasets.values() if _chose(evaluator, dataset) or _wrote(evaluator, dataset)]


def _chose(evaluator: EvaluatorVersion, dataset: DatasetVersion) -> bool:
    scored = Evaluation.objects.filter(evaluator=evaluator, created_at__lt=dataset.created_at)
    return scored.filter(version__narrative__in=dataset.items.values("version__narrative")).exists()


def _wrote(evaluator: EvaluatorVersion, dataset: DatasetVersion) -> bool:
    if evaluator.model is None:
        return False
    lessons = dataset.items.values("version__narrative")
    written = Generation.objects.filter(model=evaluator.model, version__narrative__in=lessons)
    drafted = Draft.objects.filter(drafting__model=evaluator.model, version__narrative__in=lessons)
    return written.exists() or drafted.exists()
