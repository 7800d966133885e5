"""Image encoders that visual distillation may learn from: which are offered, and where their files are."""

from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError

from modelhub.ml.hub_files import HubModel
from modelhub.models import ModelVersion
from modelhub.services.registration import model_folders

TINY = "tiny-teacher"
TINY_FOLDER = Path(settings.BASE_DIR) / "modelhub" / "ml" / "weights" / TINY
DISTILLING = ("dual_distillation", "both")


def teacher_names() -> list[str]:
    """What may be named besides a model of the hub: the demo's teacher and the folders of ``MODEL_ROOT``."""
    return [TINY, *model_folders()]


def teacher_source(teacher: str) -> Path | HubModel:
    """Where a teacher's files are: a folder, or ``organisation/model[@revision]`` on the hub."""
    if teacher == TINY:
        return TINY_FOLDER
    return hub_model(teacher) if "/" in teacher else Path(settings.MODEL_ROOT) / teacher


def hub_model(text: str) -> HubModel:
    """Raises ValueError for what is no hub id."""
    name, _, revision = text.partition("@")
    return HubModel(name, revision or "main")


def check_teacher(teacher: str, *, base: ModelVersion, recipe: str) -> None:
    """Raises ``ValidationError`` for a teacher that is not offered, or that this training has no use for."""
    if not teacher:
        return
    if recipe not in DISTILLING:
        raise ValidationError(
            {"teacher": "LoRA learns from no teacher. Choose a recipe with distillation, or leave the teacher empty."}
        )
    if "/" in teacher:
        try:
            hub_model(teacher)
        except ValueError as error:
            raise ValidationError({"teacher": f"{str(error)[:1].upper()}{str(error)[1:]}."}) from error
    elif teacher not in teacher_names():
        raise ValidationError({"teacher": f"“{teacher}” is not among {', '.join(teacher_names())}, nor a hub id."})
    if teacher == TINY and not base.synthetic:
        raise ValidationError({"teacher": f"The tiny teacher knows only drawn lesions, unlike “{base.name}”."})
