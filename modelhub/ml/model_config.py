"""Which configurations may be loaded: SkinGPT-R1's own, and what transformers itself knows as image-and-text models."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelhub.ml.checkpoint_files import CheckpointError, check_asks_for_no_code, read_json

CONFIG_FILE = "config.json"
QWEN = "qwen2_5_vl"
OWN_ARCHITECTURES = ("Qwen2_5_VLForConditionalGeneration", "SkinVLModelWithAdapter")
REFUSED_KEYS = {
    "quantization_config": "is quantised already; give the plain weights and choose quantisation when loading",
    "transformers_weights": "names weight files of its own",
    "fusion_config": "rewrites the architecture",
}
DEPTHS = ("num_hidden_layers", "depth", "num_layers", "n_layers", "encoder_layers", "decoder_layers")
MOST_LAYERS = 512
LARGEST = 1 << 31


@dataclass(frozen=True)
class ModelConfig:
    """`raw`: config.json as it is; `parsed`: transformers' object; `own`: Qwen2.5-VL, which can carry a side branch."""

    raw: dict[str, Any]
    parsed: Any
    model_class: Any
    own: bool


def read_config(folder: Path) -> ModelConfig:
    """Raises CheckpointError for another architecture, own code, or sizes that no model has."""
    path = folder / CONFIG_FILE
    raw = read_json(path)
    check_asks_for_no_code(path, raw)
    for key, reason in REFUSED_KEYS.items():
        if raw.get(key):
            raise CheckpointError(f"{path} {reason} ({key})")
    check_sizes(path, raw)
    model_type, architectures = raw.get("model_type"), raw.get("architectures") or []
    config_class, model_class, allowed = find_classes(path, model_type)
    if not isinstance(architectures, list) or (unknown := [name for name in architectures if name not in allowed]):
        named = architectures if not isinstance(architectures, list) else ", ".join(map(str, unknown))
        raise CheckpointError(f"{path} names the architecture {named}; {model_type} is {' or '.join(allowed)}")
    try:
        parsed = config_class.from_dict(copy.deepcopy(raw))  # it writes into what it is given
    except Exception as error:  # whatever a broken value sets off in there
        raise CheckpointError(f"{path} does not describe a {model_type}: {first_line(error)}") from error
    return ModelConfig(raw, parsed, model_class, own=model_type == QWEN)


def find_classes(path: Path, model_type: Any) -> tuple[Any, Any, tuple[str, ...]]:
    """transformers' classes of configuration and model, and the names that `architectures` may have."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING as MODELS
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as NAMES

    if model_type == QWEN:
        return Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, OWN_ARCHITECTURES
    if not isinstance(model_type, str) or model_type not in NAMES:
        raise CheckpointError(
            f"{path} says model_type {model_type!r}, which is no image-and-text model of transformers"
        )
    try:
        config_class = CONFIG_MAPPING[model_type]
        model_class = MODELS[config_class]
    except (ImportError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path}: {model_type} cannot be used here: {first_line(error)}") from error
    return config_class, model_class, (NAMES[model_type],)


def check_sizes(path: Path, values: dict[str, Any]) -> None:
    """Raises CheckpointError for a depth or width so large that merely outlining the model would not end."""
    for key, value in values.items():
        if isinstance(value, dict):
            check_sizes(path, value)
        elif isinstance(value, int) and (abs(value) > LARGEST or (key in DEPTHS and not 0 < value <= MOST_LAYERS)):
            raise CheckpointError(f"{path} says {key} {value}, which no model has")


def first_line(error: BaseException) -> str:
    """What an error of a library says, on one line."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:300]}"


def released_config(raw: dict[str, Any]) -> dict[str, Any]:
    """A Qwen2.5-VL configuration in the release's own form: the language model's fields at the top, its rotation as
    `rope_theta` and `rope_scaling`, bfloat16, the reference's architecture."""
    text = dict(raw.get("text_config") or {})
    flat = text | {key: value for key, value in raw.items() if key != "text_config"}
    if rope := flat.pop("rope_parameters", None):
        flat["rope_theta"] = rope["rope_theta"]
        flat["rope_scaling"] = {"type": "mrope", "mrope_section": rope["mrope_section"]}
    for key in ("dtype", "torch_dtype", "layer_types", "transformers_version"):
        flat.pop(key, None)
    return flat | {"model_type": QWEN, "architectures": [OWN_ARCHITECTURES[1]], "torch_dtype": "bfloat16"}


def config_facts(config: ModelConfig) -> dict[str, Any]:
    """The sizes of a model as its configuration says them; what it does not say is left out."""
    text = getattr(config.parsed, "text_config", None) or config.parsed
    vision = getattr(config.parsed, "vision_config", None)
    asked = {
        "hidden": (text, "hidden_size"),
        "layers": (text, "num_hidden_layers"),
        "heads": (text, "num_attention_heads"),
        "key_value_heads": (text, "num_key_value_heads"),
        "intermediate": (text, "intermediate_size"),
        "vocabulary": (text, "vocab_size"),
        "vision_layers": (vision, "depth"),
        "vision_hidden": (vision, "hidden_size"),
        "patch": (vision, "patch_size"),
    }
    facts = {name: getattr(owner, key, None) for name, (owner, key) in asked.items()}
    if facts["vision_layers"] is None:
        facts["vision_layers"] = getattr(vision, "num_hidden_layers", None)
    facts |= {"model_type": config.raw["model_type"], "architectures": config.raw.get("architectures") or []}
    facts["tied_embeddings"] = bool(getattr(config.parsed, "tie_word_embeddings", False))
    return {name: value for name, value in facts.items() if isinstance(value, int | str | list)}
