"""Loads the demo: people, study, drawings, the base model's narratives, colleagues' ratings."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from django.conf import settings

from annotator.accounts.models import User
from annotator.demo import cases as drawings
from annotator.demo import colleagues, people
from modelhub.jobs.base import run_job
from modelhub.models import Generation, ModelVersion, Run
from modelhub.services.evaluations import evaluator_version
from modelhub.services.generation import request_generation
from modelhub.services.models import register_base
from modelhub.services.statistics import refresh_dashboard
from scoring.models import Case, NarrativeVersion, Split, Study
from scoring.services.audit import record_event
from scoring.services.queue import enqueue_versions
from scoring.services.studies import accept_sheet, add_sheet, create_study, invite_rater, start_study

LOADED = "demo.loaded"
WITHOUT_NARRATIVE = 20
ONE_SHORT = 10
UNRATED = 6
DISPUTED = 5
ONE_SHORT_PRIORITY = 10
SHEET = """You will read narratives that a model or a colleague wrote about a picture, score them on six dimensions \
and correct them where they are wrong.

The pictures of this demo are drawings. Nothing here is medical advice.

Your scores are stored with your name. Administrators and researchers of the study see them; other raters do not see \
them before they have scored the same text. Your pace and your agreement with others are visible to you and to \
administrators only. Exports name you by a pseudonym.

You may withdraw at any time under “My work”. What you have submitted stays in the study and is marked as given by a \
rater who withdrew."""


def load(*, size: drawings.Size, seed: int, report: Callable[[str], None]) -> None:
    """Everything, through the product's own services, the narratives by the real tiny model."""
    report("people and study")
    cast = people.create_people()
    study = _study(cast)
    report(f"{size.training + size.evaluation} drawings")
    stored = drawings.create_cases(source=drawings.create_source(), size=size, seed=seed)
    model = register_base(
        name="SkinGPT-R1 tiny (synthetic)",
        path=settings.BASE_DIR / "modelhub/ml/weights/tiny",
        actor=None,
        synthetic=True,
    )
    evaluator_version("synthetic_truth")
    training = [case for case in stored if case.split == Split.TRAINING]
    evaluation = [case for case in stored if case.split == Split.EVALUATION]
    written = [*training[: len(training) - WITHOUT_NARRATIVE], *evaluation]
    report(f"{len(written)} narratives by {model}")
    versions = _write(model, written, cast["admin"])
    report("simulated colleagues rate and correct")
    _rate(study, [versions[case.pk] for case in training[:-WITHOUT_NARRATIVE]], cast)
    _certify_all(study, [versions[case.pk] for case in evaluation], cast)
    refresh_dashboard()
    record_event(actor=None, action=LOADED, subject=study)


def _study(cast: dict[str, User]) -> Study:
    admin = cast["admin"]
    study = create_study(
        actor=admin,
        overlap=2,
        title="Demo: do corrected narratives teach the model dark skin?",
        question="Does fine-tuning on certified narratives raise the accuracy on held-out drawings?",
        arms=["as written", "as corrected"],
        inclusion="Every drawing of the demo.",
        exclusion_rules="None.",
        planned_analysis="Paired difference of accuracy between the adapter and the base on held-out drawings.",
        ethics="Drawings only; no person takes part as a patient, so no approval is needed.",
    )
    add_sheet(study=study, text=SHEET, actor=admin)
    study = start_study(study=study, actor=admin)
    for username, user in cast.items():
        if user.is_dermatologist:
            invite_rater(study=study, rater=user, actor=admin)
        if username in people.COLLEAGUES:
            _consent(study, user)
    return study


def _consent(study: Study, user: User) -> None:
    accept_sheet(
        study=study,
        rater=user,
        sheet_version=1,
        qualification="Simulated by the demo",
        years_experience=0,
        country=user.country,
        conflicts="none",
        languages=["en"],
    )


def _write(model: ModelVersion, cases: Sequence[Case], admin: User) -> dict[int, NarrativeVersion]:
    """The model's narratives by case; the run is done here and now, by the same code as on a worker."""
    run = request_generation(
        cases=Case.objects.filter(pk__in=[case.pk for case in cases]), model=model, study=None, settings={}, actor=admin
    )
    run_job(run.pk)
    run.refresh_from_db()
    if run.state != Run.State.SUCCEEDED:
        raise RuntimeError(f"The demo's narratives could not be written: {run.error or run.get_state_display()}")
    done = Generation.objects.filter(run=run).select_related("version__narrative")
    return {item.case_id: item.version for item in done if item.version is not None}


def _rate(study: Study, versions: list[NarrativeVersion], cast: dict[str, User]) -> None:
    """Most narratives certified; some right ones one rating short, some untouched, some wrong ones left to the desk."""
    right = [version for version in versions if colleagues.is_right(version)]
    wrong = [version for version in versions if version not in right]
    short, certified = right[:ONE_SHORT], right[ONE_SHORT:]
    disputed, untouched = wrong[:DISPUTED], wrong[DISPUTED : DISPUTED + UNRATED]
    enqueue_versions(study=study, versions=short, actor=cast["admin"], priority=ONE_SHORT_PRIORITY)
    for version, team in zip(short, _turns(cast), strict=False):
        colleagues.rate(study, version, team[0])
    enqueue_versions(study=study, versions=[*untouched, *disputed], actor=cast["admin"])
    for version, team in zip(disputed, _turns(cast), strict=False):
        colleagues.score_draft(study, version, team)
    _certify_all(study, certified + wrong[DISPUTED + UNRATED :], cast)


def _certify_all(study: Study, versions: list[NarrativeVersion], cast: dict[str, User]) -> None:
    enqueue_versions(study=study, versions=versions, actor=cast["admin"])
    for version, team in zip(versions, _turns(cast), strict=False):
        colleagues.certify(study, version, team)


def _turns(cast: dict[str, User]) -> Iterator[list[User]]:
    """The simulated colleagues, each first in turn, for ever."""
    team = deque(cast[name] for name in people.COLLEAGUES)
    while True:
        yield list(team)
        team.rotate(-1)
