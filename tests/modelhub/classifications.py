"""Classification versions and runs whose models have answered already."""

from modelhub.jobs.base import run_job
from modelhub.models import BenchmarkRun, Generation, Run, SyntheticTruth
from modelhub.services.benchmarks import request_benchmark
from scoring.models import DatasetVersion
from scoring.services.labelled import freeze_labelled
from tests.factories import make_administrator, make_case, make_source, make_study, make_version
from tests.modelhub.checkpoints import make_base
from tests.modelhub.datasets import LESION

LABELS = ["eczema", "melanoma", "psoriasis"]
SAID = "<think> The colour is red. </think><answer> {} </answer>"


def make_labelled(
    labels=("eczema", "eczema", "melanoma", "psoriasis"), *, drawn: bool = False, **fields
) -> DatasetVersion:
    source = make_source()
    cases = [make_case(source=source, split="evaluation", diagnosis=label, **fields) for label in labels]
    if drawn:
        SyntheticTruth.objects.bulk_create(SyntheticTruth(case=case, lesion=LESION.as_dict()) for case in cases)
    return freeze_labelled(study=make_study(), source=source, actor=make_administrator())


def written(dataset, evaluator: str, texts: dict[str, list[str]]) -> tuple[Run, BenchmarkRun]:
    """A run whose models have written these answers, by label of the case in the order of the cases' keys."""
    models = [make_base(name, seed=number) for number, name in enumerate(texts)]
    run = request_benchmark(dataset=dataset, models=models, evaluator=evaluator, actor=None)
    for model, answers in zip(models, texts.values(), strict=True):
        rows = Generation.objects.filter(run=run, model=model).order_by("case_id")
        for row, answer in zip(rows, answers, strict=True):
            row.version, row.state = make_version(case=row.case, text=SAID.format(answer)), "done"
            row.save()
    return run, BenchmarkRun.objects.get(run=run)


def finished(run: Run) -> Run:
    run_job(run.pk)
    run.refresh_from_db()
    return run
