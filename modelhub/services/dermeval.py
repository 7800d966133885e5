"""Asking for a DermEval trained from a study's ratings, and its two stages as evaluator versions."""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, F, QuerySet

from modelhub.ml.dermeval_format import PROMPT, READINGS, SHORT_PROMPT
from modelhub.models import DermEvalTraining, EvaluatorVersion, LearnedRating, ModelVersion, Run
from modelhub.services.model_settings import Choice, Number, check_settings
from modelhub.services.models import base_and_adapter
from modelhub.services.runs import create_run
from scoring.digest import content_hash
from scoring.models import Case, Rating, Split, Study
from scoring.services.audit import record_event

PROVIDER = "dermeval"
STAGES = {"sft": "supervised", "rl": "supervised + REINFORCE"}
LEAST_NARRATIVES = 8
READINGS_OF_EACH = 6  # of every critique in the supervised stage; below two, scores follow the narrative too little
READER = 1  # raised when the same critique would be read in another way

RULES: dict[str, Number | Choice] = {
    "sft_steps": Number(1, 1_000_000, whole=True),
    "sft_lr": Number(0, 0.1, open_low=True),
    "rl_steps": Number(0, 1_000_000, whole=True),
    "rl_lr": Number(0, 0.1, open_low=True),
    "momentum": Number(0, 0.999),
    "unread_error": Number(0, 25, open_low=True),
    "temperature": Number(0, 5, open_low=True),
    "reading": Choice(READINGS),
    "fit_share": Number(0, 0.5),
    "batch": Number(1, 512, whole=True),
    "rank": Number(1, 512, whole=True),
    "alpha": Number(1, 1024, whole=True),
    "max_new_tokens": Number(16, 8_192, whole=True),
    "max_length": Number(64, 131_072, whole=True),
    "seed": Number(0, 2**32 - 1, whole=True),
    "checkpoint_every_steps": Number(1, 100_000, whole=True),
}
DEFAULTS: dict[str, Any] = {
    "sft_lr": 2e-4,
    "rl_steps": 200,
    "rl_lr": 2e-5,
    "momentum": 0.9,
    "unread_error": 25.0,
    "temperature": 1.0,
    "reading": "fitted",
    "fit_share": 0.15,
    "batch": 16,
    "rank": 16,
    "alpha": 32,
    "max_new_tokens": 512,
    "max_length": 4096,
    "seed": 42,
    "checkpoint_every_steps": 50,
}
SYNTHETIC: dict[str, Any] = {"sft_lr": 4e-3, "rl_lr": 3e-4, "temperature": 0.5, "batch": 8, "rank": 32, "alpha": 64}


def dermeval_settings(base: ModelVersion, given: Mapping[str, Any] | None = None, *, critiques: int) -> dict[str, Any]:
    """Complete, checked settings for a base. Supervised steps that are not given are as many as read each of the
    ``critiques`` that are not held out ``READINGS_OF_EACH`` times. Raises ``ValidationError`` keyed by setting."""
    defaults = DEFAULTS | (SYNTHETIC if base.synthetic else {}) | {"sft_steps": 1}
    complete = check_settings(RULES, defaults, given or {})
    if "sft_steps" not in (given or {}) and critiques:
        complete["sft_steps"] = math.ceil(READINGS_OF_EACH / readings_of_each(complete, critiques))
    return complete


def readings_of_each(settings: Mapping[str, Any], critiques: int) -> float:
    """How often the supervised stage reads each of so many critiques, above 0, but for those held out."""
    held_out = settings["fit_share"] if settings["reading"] == "fitted" else 0.0
    return float(settings["sft_steps"] * settings["batch"] / (critiques * (1 - held_out)))


def usable_ratings(study: Study) -> QuerySet[Rating]:
    """What DermEval may learn from: sealed first scores under the study's rubric, of training cases that may train."""
    return _usable().filter(study=study).distinct()


def usable_counts() -> dict[int, int]:
    """The number of :func:`usable_ratings` of each study that has some, by its key."""
    return dict(_usable().order_by().values_list("study").annotate(n=Count("pk", distinct=True)))


def _usable() -> QuerySet[Rating]:
    case = "version__narrative__case"
    return Rating.objects.sealed_first().filter(
        rubric=F("study__rubric"),
        **{
            f"{case}__source__may_train": True,
            f"{case}__group__split": Split.TRAINING,
            f"{case}__images__isnull": False,
        },
    )


@transaction.atomic
def request_dermeval(*, base: ModelVersion, study: Study, settings: Mapping[str, Any] | None = None, actor: Any) -> Run:
    """Queue a training of DermEval; the ratings that stand now are what it learns from.

    Raises ``ValidationError`` for a base that cannot be trained here, too few ratings, and a bad setting.
    """
    if base.kind != ModelVersion.Kind.BASE:
        raise ValidationError(f"“{base.name}” is no base model with files here. Choose one that is.")
    ratings = usable_ratings(study)
    critiques = ratings.count()
    complete = dermeval_settings(base, settings, critiques=critiques)
    versions = ratings.values("version").distinct().count()
    if versions < LEAST_NARRATIVES:
        raise ValidationError(
            f"“{study}” has first ratings of {versions} narratives about training cases that may train; DermEval needs "
            f"at least {LEAST_NARRATIVES}. A rating counts half an hour after it was given, or when the reference "
            "was shown."
        )
    run = create_run(
        kind=Run.Kind.DERMEVAL,
        title=f"DermEval: {base.name} on {study}",
        plan={
            "base": str(base.public_id),
            "study": str(study.public_id),
            "rubric": study.rubric.content_hash,
            "settings": complete,
            "narratives": versions,
            "ratings": critiques,
        },
        actor=actor,
    )
    training = DermEvalTraining.objects.create(run=run, base=base, study=study, rubric=study.rubric, settings=complete)
    LearnedRating.objects.bulk_create(LearnedRating(training=training, rating=rating) for rating in ratings)
    return run


def prompt_of(base: ModelVersion) -> str:
    """The words DermEval is asked with; the narrative's place is marked in them."""
    return SHORT_PROMPT if base.synthetic else PROMPT


def adapter_folder(training: DermEvalTraining, stage: str) -> Path:
    """Where a stage's adapter is kept."""
    return Path(django_settings.MEDIA_ROOT) / "evaluators" / training.run.public_id.hex / stage


def dermeval_identity(training: DermEvalTraining, stage: str) -> dict[str, Any]:
    """Everything that could change a score, the rubric apart; ``ratings`` by count and hash; ``lines`` are those of the
    fitted reading, None where it is read in another way."""
    base, _ = base_and_adapter(training.base)
    made, reading = training.adapters[stage], training.settings["reading"]
    keys = sorted(str(key) for key in training.ratings.values_list("public_id", flat=True))
    return {
        "provider": PROVIDER,
        "stage": stage,
        "training": str(training.run.public_id),
        "base_sha256": base.weights_hash,
        "adapter_sha256": made["sha256"],
        "lines": made["lines"] if reading == "fitted" else None,
        "prompt_sha256": hashlib.sha256(prompt_of(training.base).encode()).hexdigest(),
        "reader": READER,
        "family": base.kin,
        "ratings": len(keys),
        "ratings_sha256": content_hash(keys),
        "settings": {
            "do_sample": False,
            "max_new_tokens": training.settings["max_new_tokens"],
            "reading": reading,
        },
    }


def register_stages(training: DermEvalTraining) -> list[EvaluatorVersion]:
    """Both stages as evaluator versions, each once; the caller holds the transaction."""
    found = []
    for stage in training.adapters:
        identity = dermeval_identity(training, stage) | {"rubric": training.rubric.content_hash}
        row, created = EvaluatorVersion.objects.get_or_create(
            identity_hash=content_hash(identity),
            defaults={
                "name": f"DermEval {training.base.name}, {STAGES[stage]}, run {training.run.public_id.hex[:6]}"[:120],
                "provider": PROVIDER,
                "identity": identity,
                "rubric": training.rubric,
                "model": training.base,
                "created_by": training.run.created_by,
            },
        )
        if created:
            record_event(actor=training.run.created_by, action="evaluator.trained", subject=row, detail=identity)
        found.append(row)
    return found


def training_of(row: EvaluatorVersion) -> DermEvalTraining:
    """The training that made an evaluator version of this provider."""
    related = DermEvalTraining.objects.select_related("run", "base", "study", "rubric")
    return related.get(run__public_id=row.identity["training"])


def cases_learned_from(row: EvaluatorVersion) -> QuerySet[Case]:
    """Every case of a patient or lesion that the evaluator was trained on; none for other providers. A calibration
    that counts them proves nothing."""
    if row.provider != PROVIDER:
        return Case.objects.none()
    groups = training_of(row).ratings.values("version__narrative__case__group")
    return Case.objects.filter(group__in=groups)
