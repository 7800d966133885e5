"""The side branch of SkinGPT-R1: patches in, a skin-colour guess, a teacher-like embedding and a language bias out.

State-dict keys and shapes are the reference implementation's, so its checkpoints load unchanged.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

ROUTING_EPSILON = 1e-6


@dataclass(frozen=True)
class SkinBranchConfig:
    """Sizes of the branch; all but `hidden` (the backbone's width) default to the published ones.

    `patch_dim`: floats per patch (channels · temporal · patch²). `teacher_width`: where it differs from `embed`, an
    `out_proj` maps to it. `top_k`: experts used per patch.
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
            if name != "bias_scale" and (not isinstance(value, int) or value < 1):
                raise ValueError(f"side branch: {name} must be a whole number of at least 1, it is {value!r}")
        if self.top_k > self.experts:
            raise ValueError(f"side branch: top_k {self.top_k} is more than the {self.experts} experts")

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], *, top_k: int = 2) -> "SkinBranchConfig":
        """Sizes as the tensors' shapes give them; only `top_k` leaves no trace in a shape.

        Raises KeyError naming the tensor that is missing.
        """
        embed = state["text_bias.0.weight"].shape[1]
        in_proj = state.get("distill_head.in_proj.weight")
        out_proj = state.get("distill_head.out_proj.weight")
        adapters = {key.split(".")[2] for key in state if key.startswith("distill_head.adapters.")}
        return cls(
            hidden=state["text_bias.2.weight"].shape[0],
            patch_dim=1176 if in_proj is None else in_proj.shape[1],
            embed=embed,
            experts=state["distill_head.adapters.0.router_img.weight"].shape[0],
            expert_width=state["distill_head.adapters.0.experts.0.net.0.weight"].shape[0],
            layers=len(adapters),
            top_k=top_k,
            rank=state["text_bias.0.weight"].shape[0],
            teacher_width=embed if out_proj is None else out_proj.shape[0],
            skin_classes=state["distill_head.skin_classifier.2.weight"].shape[0],
            classifier_width=state["distill_head.skin_classifier.0.weight"].shape[0],
        )


@dataclass
class BranchOutput:
    """Per image: `vision_embed` [images, embed], `vision_proj` [images, teacher], `skin_logits` [images, classes],
    `balance` [images] (8 experts spread evenly over 4 layers give 8; summed over layers); per patch: `routing`
    [layers, patches, top_k] expert numbers, best first."""

    vision_embed: Tensor
    vision_proj: Tensor
    skin_logits: Tensor
    balance: Tensor
    routing: Tensor


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
        return values[self.image_of_patch]


class ExpertLayer(nn.Module):
    """A residual mixture of `experts` small MLPs, routed by patch and by predicted skin colour.

    The experts' weights are stored stacked, so that all of them are two matrix products; `state_dict` shows them under
    the reference's names, one tensor per expert.
    """

    def __init__(self, config: SkinBranchConfig) -> None:
        super().__init__()
        self.top_k = config.top_k
        self.router_img = nn.Linear(config.embed, config.experts, bias=False)
        self.router_skin = nn.Linear(config.skin_classes, config.experts, bias=False)
        singles = [
            (nn.Linear(config.embed, config.expert_width), nn.Linear(config.expert_width, config.embed))
            for _ in range(config.experts)
        ]
        self.w_in = nn.Parameter(torch.stack([a.weight.data for a, _ in singles]))
        self.b_in = nn.Parameter(torch.stack([a.bias.data for a, _ in singles]))
        self.w_out = nn.Parameter(torch.stack([b.weight.data for _, b in singles]))
        self.b_out = nn.Parameter(torch.stack([b.bias.data for _, b in singles]))

    def forward(self, h: Tensor, skin: Tensor, groups: PatchGroups) -> tuple[Tensor, Tensor, Tensor]:
        """h [patches, embed], skin probabilities [images, classes] → new h, balance [images], routing [patches, k]."""
        probabilities = (self.router_img(h) + groups.spread(self.router_skin(skin))).softmax(dim=-1)
        top, chosen = probabilities.topk(self.top_k, dim=-1)
        top = top / (top.sum(dim=-1, keepdim=True) + ROUTING_EPSILON)
        weights = torch.zeros_like(probabilities).scatter(1, chosen, top)
        used = torch.zeros_like(probabilities).scatter(1, chosen, 1.0)
        balance = len(self.w_in) * (groups.mean(probabilities) * groups.mean(used)).sum(dim=-1)
        return h + self._experts(h, weights), balance, chosen

    def _experts(self, h: Tensor, weights: Tensor) -> Tensor:
        # every expert on every patch: 4x the needed products, but two dense ones and no wait for the routing
        experts, width, embed = self.w_in.shape
        inner = torch.addmm(self.b_in.reshape(-1), h, self.w_in.reshape(-1, embed).T).relu()
        inner = (inner.view(-1, experts, width) * weights[..., None]).view(-1, experts * width)
        out = inner @ self.w_out.transpose(1, 2).reshape(-1, embed)
        return out + weights @ self.b_out

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
        own = ("router_img.", "router_skin.")
        for key in state_dict:
            if key.startswith(prefix) and key not in expected and not key.removeprefix(prefix).startswith(own):
                unexpected_keys.append(key)


class DistillHead(nn.Module):
    """Patches → skin logits and the embedding that is distilled towards the teacher."""

    def __init__(self, config: SkinBranchConfig) -> None:
        super().__init__()
        self.in_proj = nn.Linear(config.patch_dim, config.embed, bias=False)
        self.skin_classifier = nn.Sequential(
            nn.Linear(config.embed, config.classifier_width),
            nn.ReLU(),
            nn.Linear(config.classifier_width, config.skin_classes),
        )
        self.adapters = nn.ModuleList(ExpertLayer(config) for _ in range(config.layers))
        if config.teacher_width != config.embed:
            self.out_proj = nn.Linear(config.embed, config.teacher_width, bias=False)

    def forward(self, patches: Tensor, image_grid_thw: Tensor) -> BranchOutput:
        groups = PatchGroups(image_grid_thw, len(patches))
        h = self.in_proj(patches)
        skin_logits = self.skin_classifier(groups.mean(h))
        skin = skin_logits.softmax(dim=-1)
        balance = torch.zeros(len(image_grid_thw), device=h.device)
        routing = []
        for adapter in self.adapters:
            h, layer_balance, chosen = adapter(h, skin, groups)
            balance = balance + layer_balance
            routing.append(chosen)
        embed = groups.mean(h)
        projected = self.out_proj(embed) if hasattr(self, "out_proj") else embed
        return BranchOutput(embed, projected, skin_logits, balance, torch.stack(routing))


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
        """pixel_values [patches, patch_dim] of all images one after the other, image_grid_thw [images, 3]."""
        return self.distill_head(pixel_values.float(), image_grid_thw)

    def row_bias(self, vision_embed: Tensor, image_rows: Tensor, rows: int) -> Tensor:
        """scale · W2 · tanh(W1 · v) per row, [rows, hidden].

        v is the mean embedding of the row's images; a row without one gets zeros. `image_rows` [images].
        """
        member = image_rows[None, :] == torch.arange(rows, device=image_rows.device)[:, None]
        counts = member.sum(dim=1, keepdim=True)
        pooled = member.to(vision_embed.dtype) @ vision_embed / counts.clamp(min=1)
        return self.logit_bias_scale * self.text_bias(pooled) * (counts > 0)
