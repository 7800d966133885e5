"""A studio after a year of work: one study with its ratings, verdicts and figures, and the hub's rows.

Straight into the tables of a scratch database, computed by the product's own workers' code where that is what a page
reads.
"""

from typing import Any

from django.contrib.auth.models import Group
from django.db import connection
from django.utils import timezone

from annotator.accounts.models import User
from bench.agreement_data import simulate_study
from bench.stats_page import stored_leaderboard
from modelhub.models import Generation, ModelVersion, Run
from modelhub.services.generation import prompt_version
from modelhub.services.statistics import refresh_dashboard
from scoring.models import (
    Agreement,
    CaseImage,
    Certification,
    DatasetVersion,
    Enrolment,
    Narrative,
    NarrativeVersion,
    Rating,
    Study,
)
from scoring.services.agreement import SLOW_PARTS, refresh_agreement, refresh_part
from scoring.services.datasets import DERMCOT, freeze_dataset
from scoring.services.policies import recertify_study
from scoring.services.studies import add_sheet, create_study, start_study

TEXT = "The lesion is a well-demarcated plaque with silvery scale on the elbow. " * 30
RUNS = 2_000


def fill(ratings: int, raters: int) -> tuple[User, User, dict[str, list[Any]]]:
    """An administrator who is everything else too, a rater, and the arguments of pages by the name of their address."""
    admin, _ = stored_leaderboard()
    admin.groups.set(Group.objects.exclude(name="dermatologist"))
    words = dict.fromkeys(("question", "inclusion", "exclusion_rules", "planned_analysis", "ethics"), "Bench.")
    study = create_study(actor=admin, title="Scale", overlap=3, thresholds={"minimum_mean": 3.0}, **words)
    add_sheet(study=study, text="Bench.", actor=admin)
    study = start_study(study=study, actor=admin)
    people = simulate_study(study, texts=ratings // 3, raters=raters)
    NarrativeVersion.objects.update(text=TEXT)
    Group.objects.get(name="dermatologist").user_set.add(*people)
    Enrolment.objects.bulk_create(
        Enrolment(study=study, rater=one, sheet=study.sheets.last(), accepted_at=timezone.now(), languages=["en"])
        for one in people
    )
    recertify_study(study=study)
    refresh_agreement(study=study)
    for part in SLOW_PARTS:
        refresh_part(agreement=Agreement.objects.get(study=study), part=part)
    run, model = _generations()
    dataset = freeze_dataset(kind=DERMCOT, study=study, actor=admin)
    refresh_dashboard()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return admin, people[0], _arguments(study, run, model, dataset)


def _generations() -> tuple[Run, ModelVersion]:
    """Every text was written by one model in one run, among many runs; every case has a picture."""
    Run.objects.bulk_create(Run(kind=Run.Kind.IMPORT, title=f"Import {n}", state="succeeded") for n in range(RUNS))
    run = Run.objects.create(kind=Run.Kind.GENERATION, title="A year's narratives", state="succeeded")
    model, prompt = ModelVersion.objects.order_by("pk")[0], prompt_version(text="Describe.")
    texts = dict(Narrative.objects.values_list("case", "versions"))  # one of each case: a run writes it once
    Generation.objects.bulk_create(
        (
            Generation(run=run, case_id=case, model=model, prompt=prompt, version_id=version, state="done", tokens=400)
            for case, version in texts.items()
        ),
        batch_size=2_000,
    )
    CaseImage.objects.bulk_create(
        (
            CaseImage(
                case_id=case, position=1, file="none.webp", thumbnail="none.webp", media_type="image/webp",
                width=800, height=600, size=80_000, sha256=f"{case:064x}", original_sha256=f"{case:064x}",
            )
            for case in texts
        ),
        batch_size=2_000,
    )  # fmt: skip
    return run, model


def _arguments(study: Study, run: Run, model: ModelVersion, dataset: DatasetVersion) -> dict[str, list[Any]]:
    narrative = Narrative.objects.order_by("pk")[0]
    waiting = Certification.objects.filter(is_current=True, outcome=Certification.Outcome.ADJUDICATION).order_by("pk")[
        0
    ]
    by_study = ("detail", "edit", "amend", "start", "sheet", "queue", "raters", "agreement", "policy", "report")
    return {f"study:{name}": [study.public_id] for name in (*by_study, "calibration")} | {
        "cases:detail": [narrative.case.public_id],
        "narratives:detail": [narrative.public_id],
        "narratives:correct": [narrative.public_id],
        "narratives:write": [narrative.case.public_id],
        "review:detail": [waiting.public_id],
        "review:revise": [waiting.public_id],
        "study:new_example": [study.public_id, Rating.objects.order_by("pk")[0].version.public_id],
        "modelhub:run_detail": [run.public_id],
        "modelhub:generation_detail": [run.generations.order_by("pk")[0].public_id],
        "modelhub:model_detail": [model.public_id],
        "modelhub:dataset_detail": [dataset.public_id],
        "modelhub:retrain": [dataset.public_id],
    }
