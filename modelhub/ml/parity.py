"""Compare this implementation with golden numbers of the public reference, case by case, in its own ways.

The reference biases the positions that *hold* an answer token, so all predictions but the first; sums the balance term
over images; and, where a loss has no input, counts 0. Only this file does so.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from modelhub.ml.branch import SkinBranch, SkinBranchConfig
from modelhub.ml.losses import DISTILL_FACTOR, NO_LABEL
from modelhub.ml.skingpt import SkinGPT

OUTPUT_TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 1e-4


@dataclass
class CaseReport:
    """Largest absolute differences of outputs and loss terms, largest relative gradient difference (None: none given).

    The relative difference of a gradient is max|ours − theirs| / max|theirs| of that tensor.
    """

    case: str
    outputs: dict[str, float]
    losses: dict[str, float]
    gradient: float | None
    worst_gradient: str | None

    @property
    def passed(self) -> bool:
        values = [*self.outputs.values(), *self.losses.values()]
        near = all(value <= OUTPUT_TOLERANCE for value in values)  # NaN is near nothing
        return near and (self.gradient is None or self.gradient <= GRADIENT_TOLERANCE)


def build_case_model(folder: Path, description: dict[str, Any]) -> SkinGPT:
    config = Qwen2_5_VLConfig.from_pretrained(folder)
    own_params = any("side_params-" not in name for name in description["params"])
    backbone = Qwen2_5_VLForConditionalGeneration(config)
    weights = load_file(folder / ("backbone_narrow.safetensors" if own_params else "backbone.safetensors"))
    side: dict[str, Tensor] = {}
    for name in description["params"]:
        side |= load_file(folder / name)
    weights["lm_head.weight"] = side.pop("lm_head.weight")
    backbone.load_state_dict(weights)
    branch = SkinBranch(SkinBranchConfig.from_state(side))
    branch.load_state_dict(side)
    return SkinGPT(backbone.eval().requires_grad_(False), branch, "all_steps")


def reference_forward(model: SkinGPT, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Outputs and losses under the golden files' names, with gradients."""
    assert model.branch is not None
    batch = {name: value for name, value in given.items() if name not in ("labels", "skin_labels", "teacher_feat")}
    branch, bias = model.run_branch(batch)
    assert branch is not None and bias is not None
    labels = given["labels"]
    mask = labels != NO_LABEL
    hidden = model.hidden_states(batch)
    head = model.qwen.lm_head
    biased = head(hidden + bias[:, None] * mask[..., None])
    zero = biased.new_zeros(())
    loss_sft = functional.cross_entropy(biased[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=NO_LABEL)
    distill = skin = zero
    if (teacher := given.get("teacher_feat")) is not None:
        distill = DISTILL_FACTOR * (1 - functional.cosine_similarity(branch.vision_proj, teacher, dim=-1)).mean()
    if (skin_labels := given.get("skin_labels")) is not None and bool((skin_labels >= 0).all()):
        skin = functional.cross_entropy(branch.skin_logits, skin_labels)
    text_bias = model.branch.text_bias(branch.vision_embed)
    return {
        "vision_embed": branch.vision_embed,
        "vision_proj": branch.vision_proj,
        "skin_logits": branch.skin_logits,
        "text_bias": text_bias,
        "vocab_bias": head(text_bias),
        "hidden": hidden,
        "logits_unbiased": head(hidden),
        "logits_biased": biased,
        "routing_top2": branch.routing,
        "loss_sft": loss_sft,
        "loss_distill": distill,
        "loss_aux": branch.balance.sum(),
        "loss_skin": skin,
    }


def compare_outputs(ours: dict[str, Tensor], golden: dict[str, Tensor]) -> dict[str, float]:
    rows, columns = golden["out.positions"].T
    at_positions = {
        "hidden_at_positions": ours["hidden"][rows, columns],
        "logits_unbiased": ours["logits_unbiased"][rows, columns],
        "logits_biased": ours["logits_biased"][rows, columns],
    }
    found = ours | at_positions
    names = [name.removeprefix("out.") for name in golden if name.startswith("out.")]
    differences = {}
    for name in names:
        theirs = golden[f"out.{name}"]
        if name == "routing_top2":  # a set: the order of two experts changes nothing
            differences[name] = float((found[name].sort(-1).values != theirs.long().sort(-1).values).sum())
        elif name in found and not name.startswith("loss_"):
            differences[name] = float((found[name].detach() - theirs).abs().max())
    return differences


def compare_gradients(model: SkinGPT, golden: dict[str, Tensor]) -> tuple[float, str]:
    """Largest relative difference over the reference's parameters and the name of the worst one."""
    assert model.branch is not None
    ours: dict[str, Tensor] = {}
    own = SkinBranch(model.branch.config)
    for (_, parameter), target in zip(model.branch.named_parameters(), own.parameters(), strict=True):
        target.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    ours |= own.state_dict()
    if model.qwen.lm_head.weight.grad is not None:
        ours["lm_head.weight"] = model.qwen.lm_head.weight.grad
    if missing := sorted(set(golden) - set(ours)):
        raise ValueError(f"golden gradients of unknown parameters: {', '.join(missing)}")
    worst = (0.0, "")
    for name, theirs in golden.items():
        scale = float(theirs.abs().max())
        difference = float((ours[name] - theirs).abs().max())
        worst = max(worst, (difference / scale if scale else difference, name))
    return worst


def run_case(folder: Path, case: str) -> CaseReport:
    description = json.loads((folder / f"{case}.json").read_text())
    golden = load_file(folder / f"{case}.safetensors")
    model = build_case_model(folder, description)
    gradients: dict[str, Tensor] = {}
    for name in description["grad_files"]:
        if (folder / name).exists():
            gradients |= load_file(folder / name)
    model.qwen.lm_head.weight.requires_grad_("lm_head.weight" in gradients)
    given = {name.removeprefix("in."): value for name, value in golden.items() if name.startswith("in.")}
    ours = reference_forward(model, given)
    weights = description["weights"]
    total = (
        weights["alpha"] * ours["loss_sft"]
        + weights["beta"] * ours["loss_distill"]
        + weights["gamma"] * ours["loss_aux"]
        + weights["delta"] * ours["loss_skin"]
    )
    losses = {
        name: abs(float(ours[name].detach()) - description["scalars"][name])
        for name in ours
        if name.startswith("loss_")
    }
    losses["total"] = abs(float(total.detach()) - description["scalars"]["total"])
    gradient: float | None = None
    worst: str | None = None
    if gradients:
        total.backward()
        gradient, worst = compare_gradients(model, gradients)
    return CaseReport(case, compare_outputs(ours, golden), losses, gradient, worst)


def run_folder(folder: Path) -> list[CaseReport]:
    """Every case that the folder holds. Raises FileNotFoundError where there is none."""
    cases = sorted(path.stem for path in folder.glob("case*.json"))
    if not cases:
        raise FileNotFoundError(f"{folder} holds no golden case (case*.json)")
    return [run_case(folder, case) for case in cases]
