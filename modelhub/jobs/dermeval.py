"""Trains DermEval in a process of its own; a killed worker's training goes on from its checkpoint."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from modelhub.jobs.base import JobFailed, RunContext
from modelhub.jobs.loaded_models import best_device, release_models
from modelhub.jobs.trainer_process import TrainerProcess
from modelhub.jobs.training import read_events, run_folder, thinned, watch
from modelhub.ml.dermeval_data import Physician, RatedNarrative, write_rated
from modelhub.models import DermEvalTraining
from modelhub.services.dermeval import STAGES, adapter_folder, prompt_of, register_stages
from modelhub.services.models import model_folder
from scoring.models import CaseImage, NarrativeVersion, Rating, RubricVersion
from scoring.rubric import DIMENSION_KEYS

UNSAID = "the rater could not judge this; say more about it."


def run(context: RunContext) -> None:
    training = DermEvalTraining.objects.select_related("run__created_by", "base", "study", "rubric").get(
        run=context.run
    )
    if training.adapters:
        return
    folder = run_folder(context)
    release_models()  # the card's memory belongs to the trainer
    context.write(message="Writing the ratings")
    write_data(training, folder)
    command = [sys.executable, "-m", "modelhub.ml", "dermeval-train", str(write_plan(training, folder))]
    trainer = TrainerProcess(folder, command, cwd=settings.BASE_DIR)
    watch(context, trainer, lambda seen: follow(context, training, folder / "out", seen))
    register(context, training, folder / "out")
    shutil.rmtree(folder / "data", ignore_errors=True)
    shutil.rmtree(folder / "out", ignore_errors=True)


def write_data(training: DermEvalTraining, folder: Path) -> None:
    """`critiques.jsonl` and its images; the folder ``data`` appears whole or not at all.

    Raises ``JobFailed`` where a source's right to train was withdrawn since.
    """
    if (folder / "data").is_dir():
        return
    draft = folder / ".data.draft"
    shutil.rmtree(draft, ignore_errors=True)
    (draft / "images").mkdir(parents=True)
    ratings = training.ratings.select_related("rater").prefetch_related("scores").order_by("pk")
    by_version: dict[int, list[Rating]] = {}
    for rating in ratings:
        by_version.setdefault(rating.version_id, []).append(rating)
    versions = NarrativeVersion.objects.filter(pk__in=by_version).select_related("narrative__case__source")
    if barred := versions.filter(narrative__case__source__may_train=False).first():
        name = barred.narrative.case.source.name
        raise JobFailed(f"The source “{name}” no longer allows training. Ask for a new training without it.")
    anchors = anchors_of(training.rubric)
    rated = [
        rated_narrative(version, by_version[version.pk], anchors, draft)
        for version in versions.prefetch_related("narrative__case__images").order_by("public_id")
    ]
    write_rated(rated, draft)
    draft.rename(folder / "data")


def rated_narrative(
    version: NarrativeVersion, ratings: list[Rating], anchors: dict[str, list[str]], folder: Path
) -> RatedNarrative:
    case = version.narrative.case
    images = tuple(put_image(image, folder / "images") for image in case.images.all())
    said = tuple(physician(rating, anchors) for rating in sorted(ratings, key=lambda rating: str(rating.public_id)))
    return RatedNarrative(f"group {case.group_id}", str(version.public_id), images, version.text, said)


def physician(rating: Rating, anchors: dict[str, list[str]]) -> Physician:
    """A rater's critique: her comment on a dimension, or else the rubric's words for the level that she chose."""
    by_dimension = {score.dimension: score for score in rating.scores.all()}
    scores: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for key in DIMENSION_KEYS:
        score = by_dimension.get(key)
        scores[key] = score.value if score else None
        level = None if score is None or score.value is None else round(score.value)
        words = UNSAID if level is None else anchors[key][level]
        reasons[key] = (score.comment.strip() if score else "") or words
    return Physician(str(rating.rater.public_id), scores, reasons)


def anchors_of(rubric: RubricVersion) -> dict[str, list[str]]:
    return {dimension["key"]: dimension["anchors"] for dimension in rubric.content["dimensions"]}


def put_image(image: CaseImage, folder: Path) -> Path:
    """A second name for the stored file where the disk allows it, else a copy."""
    source = Path(image.file.path)
    target = folder / f"{image.public_id.hex}{source.suffix}"
    if not target.exists():
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
    return target


def write_plan(training: DermEvalTraining, folder: Path) -> Path:
    path, device = folder / "plan.json", best_device()
    if not path.exists():
        chosen = {name: value for name, value in training.settings.items() if name != "reading"}
        if training.settings["reading"] != "fitted":
            chosen["fit_share"] = 0.0
        chosen |= {
            "prompt": prompt_of(training.base),
            "device": device,
            "precision": "bfloat16" if device == "cuda" else "float32",
        }
        places = {"base": model_folder(training.base), "data": folder / "data", "out": folder / "out"}
        plan = {name: str(place) for name, place in places.items()} | {"settings": chosen}
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(plan, indent=1, sort_keys=True))
        draft.replace(path)
    return path


def follow(context: RunContext, training: DermEvalTraining, out: Path, seen: str) -> str:
    """Store the curves told since ``seen``, the last message stored; the last one now."""
    curves = {
        stage: points
        for stage in STAGES
        if (points := [event for event in read_events(out / stage / "progress.jsonl") if event["kind"] == "step"])
    }
    if not curves:
        return seen
    stage, points = [*curves.items()][-1]
    last, total = points[-1], sum(training.settings[f"{name}_steps"] for name in STAGES)
    done = last["step"] + (training.settings["sft_steps"] if stage == "rl" else 0)
    told = (
        f"reward {last['reward']:.3f}, {last['parse_rate']:.0%} read" if stage == "rl" else f"loss {last['loss']:.4f}"
    )
    message = f"{STAGES[stage].capitalize()}: step {last['step']} of {last['steps']}, {told}"
    if message == seen:
        return seen
    with context.holding():
        DermEvalTraining.objects.filter(pk=training.pk).update(
            curves={name: thinned(points) for name, points in curves.items()}
        )
        context.progress(done, total, message)
    return message


def register(context: RunContext, training: DermEvalTraining, out: Path) -> None:
    """Both stages as evaluator versions, exactly once: their folders are named by the run, the rows made under the
    lease, and until then the trainer's folder stays. Raises ``JobFailed`` where the trainer left no adapter."""
    from modelhub.ml.dermeval_lines import read_lines

    adapters: dict[str, Any] = {}
    for stage in STAGES:
        made, target = out / stage / "adapter", adapter_folder(training, stage)
        if made.is_dir() and not target.exists():
            draft = target.with_name(f".{target.name}.draft")
            shutil.rmtree(draft, ignore_errors=True)
            draft.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copytree(made, draft)
            draft.rename(target)
        if target.is_dir():
            adapters[stage] = {"sha256": weights_of(target), "lines": read_lines(out / stage).to_dict()}
    if not adapters:
        raise JobFailed("The trainer left no adapter. Try again; it goes on from its last checkpoint.")
    with context.holding(), transaction.atomic():
        training.adapters = adapters
        training.save(update_fields=["adapters"])
        rows = register_stages(training)
        context.write(message=f"{len(rows)} evaluator versions are ready")


def weights_of(folder: Path) -> str:
    """SHA-256 of an adapter's weights, as loading will report it."""
    from modelhub.ml.checkpoint import read_contents

    return read_contents(folder).sha256
