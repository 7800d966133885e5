"""What a teacher sees in a training's images, made before the training starts."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from modelhub.jobs.base import JobFailed, RunContext
from modelhub.jobs.loaded_models import best_device
from modelhub.models import Training
from modelhub.services.teachers import teacher_source

if TYPE_CHECKING:
    from modelhub.ml.teacher_features import FeatureReport


def add_teacher_features(context: RunContext, training: Training, data: Path) -> None:
    """Features beside each image of ``data``; stores how many images have them and how many are without.

    Raises ``JobFailed`` where the teacher cannot be loaded or reads no image at all.
    """
    from modelhub.ml.train_data import TEACHER_MANIFEST

    teacher = context.run.plan["teacher"]
    if not teacher or (data / TEACHER_MANIFEST).exists():  # the latter: an earlier attempt made them
        return
    context.write(message=f"Loading the teacher {teacher}")

    def tell(done: int, total: int) -> None:
        context.check()
        context.progress(done, total, f"The teacher reads images: {done} of {total}")

    try:
        report = read_images(teacher, data, tell)
    except (ValueError, OSError, RuntimeError) as error:
        raise JobFailed(f"The teacher {teacher} could not be used: {str(error).rstrip('.')}.") from error
    present = report.images - len(report.missing)
    if not present:
        raise JobFailed(f"The teacher {teacher} could read none of the {report.images} images.")
    with context.holding():
        Training.objects.filter(pk=training.pk).update(metrics=feature_counts(present, len(report.missing)))


def read_images(teacher: str, data: Path, tell: Callable[[int, int], None]) -> "FeatureReport":
    """On the card where there is one; its memory is given back before this returns."""
    import torch

    from modelhub.ml.teacher_encoder import load_encoder
    from modelhub.ml.teacher_features import make_teacher_features

    encoder = load_encoder(teacher_source(teacher), device=best_device())
    report = make_teacher_features(data, encoder, store=teacher_store(), on_progress=tell)
    del encoder
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return report


def feature_counts(present: int, missing: int) -> dict[str, int]:
    """As a training's metrics name them."""
    return {"images_with_teacher_features": present, "images_without": missing}


def teacher_store() -> Path:
    """Teacher features by encoder and image, shared by every training on this machine."""
    folder = Path(settings.VAR_DIR) / "teacher"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
