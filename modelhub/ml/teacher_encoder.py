"""Any image encoder that transformers loads, as a teacher: one feature vector per image, and what exactly made it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from modelhub.ml.checkpoint_files import (
    CheckpointError,
    check_asks_for_no_code,
    check_folder,
    hash_file,
    hash_weights,
    name_some,
    read_json,
    shard_files,
)
from modelhub.ml.hub_files import HubModel, fetch
from modelhub.ml.safetensors_header import read_header

POOLINGS: tuple[str, ...] = ("auto", "pooler", "cls", "mean")
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PREPROCESSOR_FILE = "preprocessor_config.json"


@dataclass(frozen=True)
class EncoderIdentity:
    """All that a feature depends on. `name` and `revision` are for people and no part of `key`."""

    name: str
    revision: str | None
    weights_sha256: str
    config_sha256: str
    preprocessor_sha256: str
    pooling: str
    precision: str
    versions: dict[str, str]

    @property
    def key(self) -> str:
        """SHA-256: equal keys and equal image bytes mean equal features."""
        content = {name: value for name, value in asdict(self).items() if name not in ("name", "revision")}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Encoder:
    """A frozen image encoder with its own resizing and normalising.

    `pooling` after loading is never `auto`: it says which rule is used.
    """

    def __init__(self, model: nn.Module, processor: Any, pooling: str, identity: EncoderIdentity, device: str) -> None:
        self.model, self.processor, self.pooling = model, processor, pooling
        self.identity, self.device = identity, device

    @torch.inference_mode()
    def encode(self, images: Sequence[Image.Image]) -> Tensor:
        """Features [images, width] float32 on the CPU. Raises ValueError where the encoder gives NaN or infinity."""
        pixels = self.processor(images=list(images), return_tensors="pt")["pixel_values"]
        features = pool(self.model, pixels.to(self.device, self.model.dtype), self.pooling).float().cpu()
        if not bool(features.isfinite().all()):
            raise ValueError(f"the encoder {self.identity.name} gave a value that is not a number")
        return features


def load_encoder(
    source: Path | HubModel,
    *,
    pooling: str = "auto",
    precision: str = "float32",
    device: str = "cpu",
) -> Encoder:
    """`source`: a folder or a model on the hub. Safetensors only, no code of its own.

    `pooling`: `pooler` takes the encoder's own pooled output, `cls` the class token, `mean` the mean over the patches;
    `auto` the first of these that the checkpoint has (a pooler without stored weights does not count).
    Raises CheckpointError naming the file and the reason.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"pooling is {pooling!r}, must be one of {', '.join(POOLINGS)}")
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}, must be one of {', '.join(PRECISIONS)}")
    folder, commit = resolve_source(source)
    check_folder(folder)
    for name in ("config.json", PREPROCESSOR_FILE):
        check_asks_for_no_code(folder / name, read_json(folder / name))
    for shard in shard_files(folder):
        read_header(shard)
    model, missing = load_tower(folder, precision)
    processor = load_image_processor(folder)
    model.to(device)
    chosen = choose_pooling(model, missing, pooling, folder)
    identity = EncoderIdentity(
        name=source.id if isinstance(source, HubModel) else str(source),
        revision=commit,
        weights_sha256=hash_weights(folder),
        config_sha256=hash_file(folder / "config.json"),
        preprocessor_sha256=hash_file(folder / PREPROCESSOR_FILE),
        pooling=chosen,
        precision=precision,
        versions={name: version(name) for name in ("torch", "transformers", "pillow")},
    )
    return Encoder(model, processor, chosen, identity, device)


def resolve_source(source: Path | HubModel) -> tuple[Path, str | None]:
    """A local folder as it is; a hub model as the folder of its snapshot and the commit."""
    if isinstance(source, HubModel):
        return fetch(source)
    if not source.is_dir():
        raise CheckpointError(f"{source} is neither a folder nor a hub id (owner/name or owner/name@revision)")
    return source, None


def load_tower(folder: Path, precision: str) -> tuple[nn.Module, set[str]]:
    """The image half of the checkpoint in evaluation mode, and the pooler's tensors that it lacks."""
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # what is missing is told below, in one sentence
    try:
        model, found = AutoModel.from_pretrained(
            str(folder),
            dtype=PRECISIONS[precision],
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (ValueError, OSError, RuntimeError, KeyError) as error:
        raise CheckpointError(f"{folder} is no encoder that transformers loads: {error}") from error
    finally:
        logging.set_verbosity(level)
    missing = set(found["missing_keys"])
    if hasattr(model, "vision_model"):  # CLIP and its kin: the text half has no part
        missing = {key.removeprefix("vision_model.") for key in missing if key.startswith("vision_model.")}
        model = model.vision_model
    if lacking := {key for key in missing if not key.startswith("pooler.")}:
        raise CheckpointError(f"{folder} lacks tensors of the encoder: {name_some(lacking)}")
    if getattr(model, "main_input_name", "") != "pixel_values":
        raise CheckpointError(f"{folder} holds {type(model).__name__}, which does not take images")
    return model.eval().requires_grad_(False), missing


def load_image_processor(folder: Path) -> Any:
    """The checkpoint's own resizing and normalising, on PIL; torchvision is not needed."""
    from transformers import AutoImageProcessor
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    settings = read_json(folder / PREPROCESSOR_FILE)
    try:
        return AutoImageProcessor.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except ImportError as error:  # a class that exists for torchvision only; a plain resize needs none
        size = settings.get("size", {})
        if settings.get("do_center_crop") or set(size) != {"height", "width"}:
            raise CheckpointError(f"{folder / PREPROCESSOR_FILE} needs torchvision: {settings}") from error
        return ViTImageProcessorPil(**{key: value for key, value in settings.items() if not key.endswith("_type")})
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{folder / PREPROCESSOR_FILE} names no known image processor: {error}") from error


def choose_pooling(model: nn.Module, missing: set[str], wanted: str, folder: Path) -> str:
    """The rule that holds for this encoder, tried on one grey picture."""
    side = image_side(model)
    output = run(model, torch.zeros(1, 3, side, side, dtype=model.dtype, device=model.device))
    possible = [rule for rule in POOLINGS[1:] if rule != "pooler" or not missing]
    possible = [rule for rule in possible if pooled(model, output, rule, (side, side)) is not None]
    if wanted == "auto" and possible:
        return possible[0]
    if wanted not in possible:
        listed = ", ".join(possible) or "none"
        reason = f" (its checkpoint lacks {name_some(missing)})" if wanted == "pooler" and missing else ""
        raise CheckpointError(f"{folder} cannot be pooled by {wanted!r}{reason}; possible: {listed}")
    return wanted


def image_side(model: Any) -> int:
    side = getattr(model.config, "image_size", None) or 224
    return int(side[0] if isinstance(side, (list, tuple)) else side)


def run(model: nn.Module, pixels: Tensor) -> Any:
    with torch.inference_mode():
        return model(pixel_values=pixels)


def pool(model: nn.Module, pixels: Tensor, rule: str) -> Tensor:
    """[images, width] by one rule; raises ValueError where the encoder has no such output."""
    found = pooled(model, run(model, pixels), rule, (pixels.shape[-2], pixels.shape[-1]))
    if found is None:
        raise ValueError(f"{type(model).__name__} has no output for pooling {rule!r}")
    return found


def pooled(model: Any, output: Any, rule: str, size: tuple[int, int]) -> Tensor | None:
    hidden, own = getattr(output, "last_hidden_state", None), getattr(output, "pooler_output", None)
    if rule == "pooler":
        return None if own is None else own.flatten(1)
    if hidden is None:
        return None
    if hidden.dim() == 4:  # a convolutional net's map: [images, width, rows, columns]
        return hidden.mean(dim=(2, 3)) if rule == "mean" else None
    extra = hidden.shape[1] - patch_count(model, size)
    if rule == "cls":
        return hidden[:, 0] if extra > 0 else None
    return hidden[:, extra:].mean(dim=1) if extra >= 0 else None


def patch_count(model: Any, size: tuple[int, int]) -> int:
    """Patches of a picture: the tokens behind the class token and its kin."""
    patch = getattr(model.config, "patch_size", None)
    if not patch:
        return 0
    rows, columns = patch if isinstance(patch, (list, tuple)) else (patch, patch)
    return (size[0] // rows) * (size[1] // columns)
