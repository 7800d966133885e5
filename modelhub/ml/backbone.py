"""The network of a checkpoint: its tensors held against its configuration, then built with transformers' own loader.

The loader gets our checked tensors by name, never the folder: it finds no other files, adapters or code by itself.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import safe_open
from torch import nn
from transformers.utils import logging as transformers_logging

from modelhub.ml.checkpoint_files import CheckpointError, Shape, check_tensors
from modelhub.ml.load_spec import LoadSpec
from modelhub.ml.model_config import ModelConfig, first_line
from modelhub.ml.safetensors_header import StoredTensor, check_floats, read_tensors
from modelhub.ml.tensor_names import EMBEDDING, HEAD, is_branch_key, to_current_name

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def outline(config: ModelConfig) -> nn.Module:
    """The network without weights. Raises CheckpointError where the configuration describes none."""
    try:
        with torch.device("meta"):
            return config.model_class(config.parsed)
    except Exception as error:  # whatever sizes that do not fit together set off in there
        raise CheckpointError(f"config.json describes no network that can be built: {first_line(error)}") from error


def backbone_tensors(shards: Mapping[str, StoredTensor], config: ModelConfig) -> dict[str, StoredTensor]:
    """The backbone's tensors by the names that its class uses; those of the side branch left out.

    Raises CheckpointError where a tensor lies there in both key styles.
    """
    if not config.own:
        return dict(shards)
    named: dict[str, StoredTensor] = {}
    for key, tensor in shards.items():
        if is_branch_key(key):
            continue
        if (name := to_current_name(key)) in named:
            raise CheckpointError(f"{tensor.file} holds {name} twice, in the old and in the new key style")
        named[name] = tensor
    return named


def check_backbone(place: Any, tensors: Mapping[str, StoredTensor], config: ModelConfig, network: nn.Module) -> None:
    """Names and shapes of Qwen2.5-VL against its outline, tied embeddings included; other architectures are checked
    while they are built, because transformers renames their tensors."""
    if not config.own:
        return
    check_floats(tensors)
    expected: dict[str, Shape] = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    if config.parsed.tie_word_embeddings:
        if HEAD not in tensors:
            del expected[HEAD]
        elif EMBEDDING in tensors:
            check_tied(tensors)
    check_tensors(place, {name: tensor.shape for name, tensor in tensors.items()}, expected)


def check_tied(tensors: Mapping[str, StoredTensor]) -> None:
    pair = {name: tensors[name] for name in (HEAD, EMBEDDING)}
    if pair[HEAD].shape != pair[EMBEDDING].shape:
        return  # the comparison of shapes says so
    found = read_tensors(pair)
    if not torch.equal(found[HEAD], found[EMBEDDING]):
        raise CheckpointError(
            f"{pair[HEAD].file}: {HEAD} differs from {EMBEDDING}, but config.json ties them (tie_word_embeddings)"
        )


def build(tensors: Mapping[str, StoredTensor], config: ModelConfig, spec: LoadSpec, folder: Path) -> Any:
    """The network with its weights on the spec's device. Raises CheckpointError naming tensors that do not fit."""
    transformers_logging.disable_progress_bar()  # a bar per load says nothing to a worker's log
    if config.own and config.parsed.tie_word_embeddings:
        tensors = {name: tensor for name, tensor in tensors.items() if name != HEAD}
    with ExitStack() as files:
        opened = {path: files.enter_context(safe_open(path, "pt")) for path in {t.file for t in tensors.values()}}
        # on the CPU a tensor of the wanted type would stay a window on its file, and change or die with it
        state = {
            name: opened[t.file].get_tensor(t.key).clone() if spec.device == "cpu" else opened[t.file].get_slice(t.key)
            for name, t in tensors.items()
        }
        try:
            network, report = config.model_class.from_pretrained(
                None,
                config=config.parsed,
                state_dict=state,
                dtype=DTYPES[spec.precision],
                attn_implementation=spec.attention,
                quantization_config=quantisation(spec),
                device_map={"": spec.device},
                ignore_mismatched_sizes=True,  # and so reported, all of them
                output_loading_info=True,
            )
        except torch.OutOfMemoryError:
            raise
        except (ValueError, RuntimeError, ImportError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{folder} cannot be built as {config.raw['model_type']}: {first_line(error)}"
            ) from error
    check_report(folder, config, report)
    return network


def check_report(folder: Path, config: ModelConfig, report: Mapping[str, Any]) -> None:
    missing, unexpected = set(report["missing_keys"]), set(report["unexpected_keys"])
    shapes = {name: (tuple(found), tuple(wanted)) for name, found, wanted in report["mismatched_keys"]}
    found = {name: pair[0] for name, pair in shapes.items()} | dict.fromkeys(unexpected, ())
    expected = {name: pair[1] for name, pair in shapes.items()} | dict.fromkeys(missing, ())
    check_tensors(f"{folder} as {config.raw['model_type']}", found, expected)
    if report["error_msgs"]:
        raise CheckpointError(
            f"{folder} cannot be built as {config.raw['model_type']}: {'; '.join(map(str, report['error_msgs']))}"
        )


def quantisation(spec: LoadSpec) -> Any:
    """What bitsandbytes does with the linear layers; the head, which carries the branch's bias, stays as it is."""
    if spec.quantisation == "none":
        return None
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=DTYPES[spec.precision],
        llm_int8_skip_modules=["lm_head", "visual"],
    )
