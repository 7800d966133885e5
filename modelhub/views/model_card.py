"""A model's card in words: what was registered, what it is made of, what a worker found when it last loaded it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from modelhub.models import Generation, ModelVersion, TensorHashes

MOST_NAMED = 100  # differing tensors shown on the page; the command names them all
CONFIG_LABELS = {
    "architectures": _("Architecture"),
    "hidden": _("Hidden size"),
    "layers": _("Layers"),
    "heads": _("Attention heads"),
    "key_value_heads": _("Key-value heads"),
    "intermediate": _("Intermediate size"),
    "vocabulary": _("Vocabulary"),
    "vision_layers": _("Vision layers"),
    "vision_hidden": _("Vision hidden size"),
    "patch": _("Patch, pixels"),
    "tied_embeddings": _("Tied embeddings"),
}
SIZE_LABELS = {
    "patch_dim": _("Numbers per patch"),
    "embed": _("Embedding"),
    "layers": _("Layers"),
    "experts": _("Experts per layer"),
    "top_k": _("Experts used per patch"),
    "expert_width": _("Expert width"),
    "rank": _("Rank of the language bias"),
    "teacher_width": _("Teacher's width"),
    "skin_classes": _("Skin-colour classes"),
}
LOADED_LABELS = {
    "precision": _("Precision"),
    "quantisation": _("Quantisation"),
    "attention": _("Attention"),
    "device": _("Device"),
    "bias_mode": _("Language bias as applied"),
    "parameters": _("Parameters in memory"),
    "branch_present": _("Side branch"),
}
TYPE_NAMES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}

Rows = list[tuple[str, str]]


def rows(labels: Mapping[str, Any], values: Mapping[str, Any]) -> Rows:
    """The known facts in words; a fact that nobody looked up is left out, not guessed."""
    return [(str(label), words(values[key])) for key, label in labels.items() if values.get(key) is not None]


def words(value: Any) -> str:
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "–"
    return f"{value:,}" if isinstance(value, int) else str(value)


def stored_as(card: Mapping[str, Any]) -> str:
    """“bfloat16”, or each type with its parameters where there are several."""
    counts = card.get("stored_as") or {}
    if len(counts) == 1:
        return TYPE_NAMES.get(*counts, *counts)
    return ", ".join(f"{TYPE_NAMES.get(name, name)} ({count:,})" for name, count in sorted(counts.items()))


def last_loaded(model: ModelVersion) -> dict[str, Any]:
    """What a worker found when it last wrote with this model; nothing before that."""
    written = Generation.objects.filter(model=model, state=Generation.State.DONE).order_by("-pk")
    settings = written.values_list("settings", flat=True).first() or {}
    identity: dict[str, Any] = settings.get("identity", {})
    return identity


def card_context(model: ModelVersion) -> dict[str, Any]:
    """What the page shows of ``model.card`` and of the last load."""
    card, loaded = model.card, last_loaded(model)
    branch = card.get("branch") or {}
    if (present := loaded.get("branch_present")) is not None:
        loaded = loaded | {"branch_present": "present" if present else "absent"}
    found = rows(LOADED_LABELS, loaded)
    return {
        "card": card,
        "stored_as": stored_as(card),
        "config": rows(CONFIG_LABELS, card.get("config") or {}),
        "branch": branch,
        "branch_sizes": rows(SIZE_LABELS, branch.get("sizes") or {}),
        "loaded": found,
        "versions": sorted((loaded.get("versions") or card.get("versions") or {}).items()),
        "notes": [note for note in loaded.get("notes") or card.get("notes") or [] if not said_above(note, model)],
        "base_matches": model.base is not None and card.get("base_sha256") == model.base.weights_hash,
    }


def said_above(note: str, model: ModelVersion) -> bool:
    """Whether the notice of a branch that is off says it already."""
    return bool(model.branch_off) and model.branch_off in note


@dataclass(frozen=True)
class Held:
    """Two models side by side. ``shown``: the first of the backbone's differing tensors, ``more`` of them not shown."""

    other: ModelVersion
    equal: int
    backbone: int
    branch: int
    shown: list[Any]

    @property
    def total(self) -> int:
        return self.equal + self.backbone + self.branch

    @property
    def more(self) -> int:
        return self.backbone - len(self.shown)


def comparable(model: ModelVersion) -> list[ModelVersion]:
    """Other registered bases with the same layout of tensors, oldest first: a base comes before what was made of it."""
    own = TensorHashes.objects.filter(model=model).values("layout")
    found = ModelVersion.objects.filter(tensor_hashes__layout__in=own).exclude(pk=model.pk)
    return list(found.order_by("created_at", "pk"))


def held_against(model: ModelVersion, others: list[ModelVersion], asked: str) -> Held | None:
    """``model`` against the one asked for, or the oldest; ``None`` where there is nothing to compare with."""
    from modelhub.ml.compare_weights import TensorHash, compare

    if not others:
        return None
    other = next((one for one in others if str(one.public_id) == asked), others[0])
    stored = dict(TensorHashes.objects.filter(model__in=[model, other]).values_list("model_id", "tensors"))
    ours, theirs = (
        {name: TensorHash(dtype, tuple(shape), sha256) for name, (dtype, shape, sha256) in stored[one.pk].items()}
        for one in (model, other)
    )
    found = compare(ours, theirs)
    return Held(other, found.equal, len(found.backbone), len(found.branch), list(found.backbone[:MOST_NAMED]))
