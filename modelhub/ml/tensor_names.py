"""Names of tensors: which belong to the side branch, and the backbone's old and new key styles."""

BRANCH_PREFIXES = ("distill_head.", "text_bias.", "logit_bias_scale")
IN_PROJ = "distill_head.in_proj.weight"
EMBEDDING = "model.language_model.embed_tokens.weight"
HEAD = "lm_head.weight"


def is_branch_key(key: str) -> bool:
    return key.startswith(BRANCH_PREFIXES)


def to_current_name(key: str) -> str:
    """Released checkpoints use the old key style (`visual.*`, `model.layers.*`); the model class the new one."""
    if key.startswith("visual."):
        return f"model.{key}"
    if key.startswith("model.") and not key.startswith(("model.visual.", "model.language_model.")):
        return f"model.language_model.{key.removeprefix('model.')}"
    return key


def to_released_name(key: str) -> str:
    """The other way round: the style that the reference implementation reads and writes."""
    if key.startswith("model.visual."):
        return key.removeprefix("model.")
    if key.startswith("model.language_model."):
        return f"model.{key.removeprefix('model.language_model.')}"
    return key
