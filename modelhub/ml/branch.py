"""The side branch of SkinGPT-R1: patches in, a skin-colour guess, a teacher-like embedding and a language bias out.

One architecture, two published shapes: the second version (skin-colour classifier, residual layers of routed experts)
is the default; the first (residual visual head, no classifier, no experts) is the same with the sizes `FIRST_VERSION`.
State-dict keys and shapes are the reference implementation's, so its checkpoints load unchanged.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from modelhub.ml.experts import run_experts

ROUTING_EPSILON = 1e-6
CHANNELS = 3
# the seed's branch (arXiv 2511.15242, November 2025); the width of its head is not published, this one is ours
FIRST_VERSION = {"experts": 0, "skin_classes": 0, "layers": 1, "expert_width": 1024}
MAY_BE_ZERO = ("experts", "skin_classes")


@dataclass(frozen=True)
class SkinBranchConfig:
    """Sizes of the branch; all but `hidden` (the backbone's width) default to the published ones.

    `patch_dim`: floats per patch (channels · temporal · patch²). `teacher_width`: where it differs from `embed`, an
    `out_proj` maps to it. `top_k`: experts used per patch. `experts` 0: each layer is one residual MLP of
    `expert_width`; `skin_classes` 0: nothing guesses the skin colour, and experts are chosen by the patch alone.
    """

    hidden: int
    patch_dim: int = 1176
    embed: int = 1024
    experts: int = 8
    expert_width: int = 64
    layers: int = 4
    top_k: int = 2
    rank: int = 64
    teacher_width: int = 1024
    skin_classes: int = 3
    classifier_width: int = 64
    bias_scale: float = 1.5

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            least = 0 if name in MAY_BE_ZERO else 1
            whole = isinstance(value, int) and not isinstance(value, bool)
            if name != "bias_scale" and (not whole or value < least):
                raise ValueError(f"side branch: {name} must be a whole number of at least {least}, it is {value!r}")
        if self.experts and self.top_k > self.experts:
            raise ValueError(f"side branch: top_k {self.top_k} is more than the {self.experts} experts")

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], *, top_k: int = 2) -> "SkinBranchConfig":
        """Sizes as the tensors' shapes give them; only `top_k` leaves no trace in a shape.

        Raises KeyError naming the tensor that is missing.
        """
        embed = state["text_bias.0.weight"].shape[1]
        layers = {key.split(".")[2] for key in state if key.startswith("distill_head.adapters.")}
        first = "distill_head.adapters.0."
        routed = any(key.startswith((f"{first}router_", f"{first}experts.")) for key in state)
        inner = f"{first}experts.0.net.0.weight" if routed else f"{first}net.0.weight"
        classifier = "distill_head.skin_classifier."
        guesses = any(key.startswith(classifier) for key in state)
        in_proj = state.get("distill_head.in_proj.weight")
        out_proj = state.get("distill_head.out_proj.weight")
        return cls(
            hidden=state["text_bias.2.weight"].shape[0],
            patch_dim=cls.patch_dim if in_proj is None else in_proj.shape[1],
            embed=embed,
            experts=state[f"{first}router_img.weight"].shape[0] if routed else 0,
            expert_width=state[inner].shape[0],
            layers=len(layers),
            top_k=top_k,
            rank=state["text_bias.0.weight"].shape[0],
            teacher_width=embed if out_proj is None else out_proj.shape[0],
            skin_classes=state[f"{classifier}2.weight"].shape[0] if guesses else 0,
            classifier_width=state[f"{classifier}0.weight"].shape[0] if guesses else cls.classifier_width,
        )


@dataclass
class BranchOutput:
    """Per image: `vision_embed` [images, embed], `vision_proj` [images, teacher], `skin_logits` [images, classes],
    `balance` [images] (8 experts spread evenly over 4 layers give 8; summed over layers); per patch: `routing`
    [layers, patches, top_k] expert numbers, best first. None where the branch has no classifier or no experts."""

    vision_embed: Tensor
    vision_proj: Tensor
    skin_logits: Tensor | None
    balance: Tensor | None
    routing: Tensor | None


class PatchGroups:
    """Which patch belongs to which image; patches of one image are consecutive."""

    def __init__(self, image_grid_thw: Tensor, patches: int) -> None:
        self.lengths = image_grid_thw.prod(dim=1)
        if int(self.lengths.sum()) != patches:
            raise ValueError(f"images of {self.lengths.tolist()} patches, but {patches} patches given")
        images = torch.arange(len(self.lengths), device=self.lengths.device)
        self.image_of_patch = images.repeat_interleave(self.lengths, output_size=patches)

    def mean(self, values: Tensor) -> Tensor:
        """[patches, width] → [images, width]."""
        return torch.segment_reduce(values, "mean", lengths=self.lengths, unsafe=True)

    def spread(self, values: Tensor) -> Tensor:
        """[images, width] → [patches, width]."""
        return values.index_select(0, self.image_of_patch)


class ResidualLayer(nn.Module):
    """h + MLP(h): a layer without experts."""

    def __init__(self, config: SkinBranchConfig) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(config.embed, config.expert_width), nn.ReLU(), nn.Linear(config.expert_width, config.embed)
        )

    def forward(self, h: Tensor, _skin: Tensor | None, _groups: PatchGroups) -> tuple[Tensor, None, None]:
        """h [patches, embed] → new h; nothing to balance, nothing routed."""
        return h + self.net(h), None, None


class ExpertLayer(nn.Module):
    """A residual mixture of `experts` small MLPs, routed by patch and, where it is guessed, by skin colour.

    The experts' weights are stored stacked; `state_dict` shows them under the reference's names, one tensor per expert.
    """

    def __init__(self, config: SkinBranchConfig) -> None:
        super().__init__()
        self.top_k = config.top_k
        self.router_img = nn.Linear(config.embed, config.experts, bias=False)
        if config.skin_classes:
            self.router_skin = nn.Linear(config.skin_classes, config.experts, bias=False)
        singles = [
            (nn.Linear(config.embed, config.expert_width), nn.Linear(config.expert_width, config.embed))
            for _ in range(config.experts)
        ]
        self.w_in = nn.Parameter(torch.stack([a.weight.data for a, _ in singles]))
        self.b_in = nn.Parameter(torch.stack([a.bias.data for a, _ in singles]))
        self.w_out = nn.Parameter(torch.stack([b.weight.data for _, b in singles]))
        self.b_out = nn.Parameter(torch.stack([b.bias.data for _, b in singles]))

    def forward(self, h: Tensor, skin: Tensor | None, groups: PatchGroups) -> tuple[Tensor, Tensor, Tensor]:
        """h [patches, embed], skin probabilities [images, classes] → new h, balance [images], routing [patches, k]."""
        scores = self.router_img(h)
        if skin is not None:
            scores = scores + groups.spread(self.router_skin(skin))
        probabilities = scores.softmax(dim=-1)
        top, chosen = probabilities.topk(self.top_k, dim=-1)
        top = top / (top.sum(dim=-1, keepdim=True) + ROUTING_EPSILON)
        used = torch.zeros_like(probabilities).scatter(1, chosen, 1.0)
        balance = len(self.w_in) * (groups.mean(probabilities) * groups.mean(used)).sum(dim=-1)
        weights = torch.zeros_like(probabilities).scatter(1, chosen, top)
        experts = run_experts(h, chosen, top, self.w_in, self.b_in, self.w_out)
        return h + experts + weights @ self.b_out, balance, chosen

    def _stacked(self) -> dict[str, nn.Parameter]:
        return {
            "net.0.weight": self.w_in,
            "net.0.bias": self.b_in,
            "net.2.weight": self.w_out,
            "net.2.bias": self.b_out,
        }

    def split_experts(self, prefix: str, stacked: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Stacked tensors by `net.*` name → one tensor per expert under the reference's names."""
        return {f"{prefix}experts.{e}.{name}": t[e] for name, t in stacked.items() for e in range(len(t))}

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        stacked = {name: p if keep_vars else p.detach() for name, p in self._stacked().items()}
        destination.update(self.split_experts(prefix, stacked))

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        expected = self.split_experts(prefix, self._stacked())
        for key, target in expected.items():
            if key not in state_dict:
                missing_keys.append(key)
            elif state_dict[key].shape != target.shape:
                error_msgs.append(f"{key} is {list(state_dict[key].shape)}, must be {list(target.shape)}")
            else:
                with torch.no_grad():
                    target.copy_(state_dict[key])
        own = tuple(f"{name}." for name, _ in self.named_children())
        for key in state_dict:
            if key.startswith(prefix) and key not in expected and not key.removeprefix(prefix).startswith(own):
                unexpected_keys.append(key)


class DistillHead(nn.Module):
    """Patches → skin logits and the embedding that is distilled towards the teacher."""

    def __init__(self, config: SkinBranchConfig) -> None:
        super().__init__()
        self.in_proj = nn.Linear(config.patch_dim, config.embed, bias=False)
        if config.skin_classes:
            self.skin_classifier = nn.Sequential(
                nn.Linear(config.embed, config.classifier_width),
                nn.ReLU(),
                nn.Linear(config.classifier_width, config.skin_classes),
            )
        layer = ExpertLayer if config.experts else ResidualLayer
        self.adapters = nn.ModuleList(layer(config) for _ in range(config.layers))
        if config.teacher_width != config.embed:
            self.out_proj = nn.Linear(config.embed, config.teacher_width, bias=False)

    def project(self, patches: Tensor) -> Tensor:
        """in_proj. Where patches come with one of their equal frames, the frames' weights add up: half the product."""
        weight = self.in_proj.weight
        if patches.shape[1] != weight.shape[1]:
            pixels = patches.shape[1] // CHANNELS
            weight = weight.view(len(weight), CHANNELS, -1, pixels).sum(dim=2).flatten(1)
        return patches @ weight.T

    def forward(self, patches: Tensor, image_grid_thw: Tensor) -> BranchOutput:
        groups = PatchGroups(image_grid_thw, len(patches))
        h = self.project(patches)
        skin_logits = self.skin_classifier(groups.mean(h)) if hasattr(self, "skin_classifier") else None
        skin = None if skin_logits is None else skin_logits.softmax(dim=-1)
        balances, routing = [], []
        for adapter in self.adapters:
            h, balance, chosen = adapter(h, skin, groups)
            balances += [] if balance is None else [balance]
            routing += [] if chosen is None else [chosen]
        embed = groups.mean(h)
        projected = self.out_proj(embed) if hasattr(self, "out_proj") else embed
        balance = torch.stack(balances).sum(dim=0) if balances else None
        return BranchOutput(embed, projected, skin_logits, balance, torch.stack(routing) if routing else None)


class SkinBranch(nn.Module):
    """The whole side branch, in float32 whatever the backbone's precision.

    A new branch changes nothing until it is trained: the last matrix of `text_bias` starts at zero.
    """

    def __init__(self, config: SkinBranchConfig) -> None:
        super().__init__()
        self.config = config
        self.distill_head = DistillHead(config)
        self.text_bias = nn.Sequential(
            nn.Linear(config.embed, config.rank, bias=False),
            nn.Tanh(),
            nn.Linear(config.rank, config.hidden, bias=False),
        )
        nn.init.zeros_(self.text_bias[2].weight)
        self.logit_bias_scale = nn.Parameter(torch.tensor(float(config.bias_scale)))

    def forward(self, pixel_values: Tensor, image_grid_thw: Tensor) -> BranchOutput:
        """pixel_values of all images one after the other, image_grid_thw [images, 3].

        A patch is [patch_dim] numbers as the processor gives them, or, for still pictures, one of its equal frames.
        """
        return self.distill_head(pixel_values.float(), image_grid_thw)

    def row_bias(self, vision_embed: Tensor, image_rows: Tensor, rows: int) -> Tensor:
        """scale · W2 · tanh(W1 · v) per row, [rows, hidden].

        v is the mean embedding of the row's images; a row without one gets zeros. `image_rows` [images].
        """
        member = image_rows[None, :] == torch.arange(rows, device=image_rows.device)[:, None]
        counts = member.sum(dim=1, keepdim=True)
        pooled = member.to(vision_embed.dtype) @ vision_embed / counts.clamp(min=1)
        return self.logit_bias_scale * self.text_bias(pooled) * (counts > 0)
