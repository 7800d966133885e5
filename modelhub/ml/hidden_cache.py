"""Final hidden states of a frozen backbone, computed once per case and kept; later epochs never run the backbone.

The side branch reads patches and adds one vector to the final hidden states, so while the backbone stands still its
hidden states at the positions that predict an answer are constants. A shard holds one case: those states, the answer's
token ids and the patches. It is named by a hash over everything that the states depend on, so any change misses.
"""

import hashlib
import importlib.metadata
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modelhub.ml.checkpoint_files import ADAPTER_FILE, hash_file
from modelhub.ml.hidden_shard import ShardDamaged, one_frame, read_shard, write_shard
from modelhub.ml.loading import LoadedModel
from modelhub.ml.processor import ImageTextProcessor
from modelhub.ml.skingpt import SkinGPT
from modelhub.ml.train_batches import Encoder, Example, token_rows
from modelhub.ml.train_data import RECORDS_FILE, TrainRecord

FORMAT = 1  # of shards, and of the code that fills them
LIBRARIES = ("torch", "transformers", "tokenizers", "peft", "pillow", "numpy")
NOT_IN_STATES = {"source", "adapter", "device", "bias_mode", "manifest"}  # of a load spec; weights are there by hash


class CacheRefused(ValueError):
    """Hidden states that cannot be kept; the message says why."""


@dataclass
class FillReport:
    """`cases` read, of which `computed` cost a forward pass each; `damaged` of those had a shard that was unusable."""

    cases: int = 0
    computed: int = 0
    damaged: int = 0


class HiddenCache:
    """The cases of one backbone in a folder that many trainings share. A Source of examples with `hidden`.

    Nothing but the shard at hand is in memory. A shard that is missing, truncated or changed is computed again.
    Raises CacheRefused where the backbone trains or drops out: its states would not be constants.
    """

    def __init__(self, folder: Path, loaded: LoadedModel, encoder: Encoder) -> None:
        refuse_moving(loaded.model)
        self.folder = folder
        self.model = loaded.model
        self.encoder = encoder
        self.report = FillReport()
        self._backbone = describe_backbone(loaded, encoder.end_token_id)
        self._whole: set[str] = set()
        self._keys: dict[int, str] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # the patches are patients' pictures

    def fill(self, records: Sequence[TrainRecord], on_case: Callable[[int, int], None]) -> FillReport:
        """Every record's shard, read or computed; `on_case` gets the number done and of all.

        Raises CacheRefused for a state that is not a number, OSError where the folder cannot be written.
        """
        self.report = FillReport()
        for done, record in enumerate(records, 1):
            self.example(record)
            self.report.cases += 1
            on_case(done, len(records))
        return self.report

    def example(self, record: TrainRecord) -> Example:
        key = self.key(record)
        path = self.folder / key[:2] / f"{key}.safetensors"
        try:
            example = read_shard(path, key, checked=key in self._whole)
        except FileNotFoundError:
            example = self._compute(record, path, key)
        except ShardDamaged:
            self.report.damaged += 1
            example = self._compute(record, path, key)
        if key not in self._whole:
            os.utime(path)  # when it was last wanted, for `trim`
            self._whole.add(key)
        return example

    def key(self, record: TrainRecord) -> str:
        if record.line not in self._keys:
            self._keys[record.line] = case_key(self._backbone, record)
        return self._keys[record.line]

    def _compute(self, record: TrainRecord, path: Path, key: str) -> Example:
        encoded = self.encoder.encode(record)
        example: Example = {"hidden": self._run_backbone(encoded, record), "answer": encoded["answer"]}
        if "pixel_values" in encoded:
            frames = self.model.qwen.config.vision_config.temporal_patch_size
            example["pixel_values"] = one_frame(encoded["pixel_values"], frames)
            example["image_grid_thw"] = encoded["image_grid_thw"]
        write_shard(path, key, example)
        self.report.computed += 1
        return example

    @torch.no_grad()
    def _run_backbone(self, encoded: Example, record: TrainRecord) -> Tensor:
        """One case alone, so that its states do not depend on what else is computed: [answer tokens, hidden]."""
        batch = token_rows([encoded]) | {k: v for k, v in encoded.items() if k in ("pixel_values", "image_grid_thw")}
        batch = {name: value.to(self.model.device) for name, value in batch.items()}
        hidden = self.model.hidden_states(batch)[batch["scored"]].cpu()
        if not bool(hidden.isfinite().all()):
            raise CacheRefused(
                f"{RECORDS_FILE}, line {record.line}: the backbone's hidden states are not numbers; "
                "check the checkpoint, or take bfloat16 where float16 was too narrow"
            )
        return hidden


def refuse_moving(model: SkinGPT) -> None:
    if learns := [name for name, p in model.backbone.named_parameters() if p.requires_grad]:
        raise CacheRefused(
            f"hidden states are kept for a frozen backbone only, but {len(learns)} of its tensors train "
            f"({learns[0]}, …): use the recipe dual_distillation, or no cache"
        )
    if model.backbone.training:
        raise CacheRefused("hidden states are kept for a backbone in evaluation mode only: dropout changes them")


def describe_backbone(loaded: LoadedModel, end_token_id: int) -> dict[str, Any]:
    """Everything but the case that decides the hidden states, as JSON."""
    model, processor = loaded.model, loaded.processor
    lora = Path(loaded.spec.adapter) / ADAPTER_FILE if loaded.spec.adapter else None
    config = json.loads(model.qwen.config.to_json_string(use_diff=False))
    return {
        "format": FORMAT,
        "weights": loaded.identity.weights_sha256,
        "adapter": hash_file(lora) if lora and lora.exists() else None,
        "config": {name: value for name, value in config.items() if name != "_name_or_path"},
        "attention": model.qwen.config._attn_implementation,
        "loading": {k: str(v) for k, v in asdict(loaded.spec).items() if k not in NOT_IN_STATES},
        "device": model.device.type,
        "end_token": end_token_id,
        "libraries": {name: installed_version(name) for name in LIBRARIES},
    } | describe_processor(processor)


def installed_version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None  # peft is not there where only a frozen backbone is used


def describe_processor(processor: ImageTextProcessor) -> dict[str, Any]:
    tokenizer = processor.tokenizer
    return {
        "tokenizer": hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest(),
        "template": processor.chat_template or tokenizer.chat_template,
        "image_processor": processor.image_processor.to_dict(),
    }


def case_key(backbone: dict[str, Any], record: TrainRecord) -> str:
    """SHA-256 over the backbone's description and the case's prompt, image bytes and answer."""
    case = {
        "prompt": [[message.role, message.text] for message in record.context],
        "images": [hash_file(image) for image in record.images],
        "answer": record.answer,
    }
    content = json.dumps(backbone | case, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(content.encode()).hexdigest()
