"""Compare this implementation with golden numbers of the public reference, case by case, in its own ways.

The reference biases the positions that *hold* an answer token, so all predictions but the first; sums the balance term
over images; and, where a loss has no input (one missing skin label is enough), counts 0. Only this file does so.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from modelhub.ml.branch import BranchOutput, SkinBranch, SkinBranchConfig
from modelhub.ml.losses import DISTILL_FACTOR, NO_LABEL
from modelhub.ml.skingpt import SkinGPT

OUTPUT_TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 1e-4
WEIGHTS = {"loss_sft": "alpha", "loss_distill": "beta", "loss_aux": "gamma", "loss_skin": "delta"}
NOT_COMPARED = ("positions",)  # where the others are taken


class GoldenError(ValueError):
    """Golden files that cannot be compared with; the message names the file and what is wrong."""


@dataclass
class CaseReport:
    """Largest absolute differences of outputs and loss terms, largest relative gradient difference (None: none given).

    The relative difference of a gradient is max|ours − theirs| / max|theirs| of that tensor; for one that the reference
    says is not there, max|ours|.
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


def run_folder(folder: Path) -> list[CaseReport]:
    """Every case that the folder holds or its index lists. Raises GoldenError where there is none, or one is broken or
    incomplete."""
    found = {path.stem for path in folder.glob("case*.json")}
    index = folder / "index.json"
    cases = sorted(found | set(read_json(index).get("cases", []) if index.exists() else []))
    if not cases:
        raise GoldenError(f"{folder} holds no golden case (case*.json)")
    return [run_case(folder, case) for case in cases]


def run_case(folder: Path, case: str) -> CaseReport:
    description = read_json(folder / f"{case}.json")
    golden = read_tensors(folder / f"{case}.safetensors")
    try:
        gradients = read_all(folder, description["grad_files"])
        model = build_case_model(folder, description, golden)
        model.qwen.lm_head.weight.requires_grad_("lm_head.weight" in gradients)
        given = {name.removeprefix("in."): value for name, value in golden.items() if name.startswith("in.")}
        ours = reference_forward(model, given)
        total = torch.stack([description["weights"][w] * ours[name] for name, w in WEIGHTS.items()]).sum()
        losses = {name: off(ours[name], description["scalars"][name]) for name in WEIGHTS}
        losses["total"] = off(total, description["scalars"]["total"])
        outputs = compare_outputs(ours | {"total": total}, golden)
        gradient, worst = None, None
        if gradients:
            total.backward()
            gradient, worst = compare_gradients(model, gradients, description.get("no_grad_params", []))
    except GoldenError:
        raise
    except KeyError as error:
        raise GoldenError(f"{case}: {error.args[0]} is missing") from error
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise GoldenError(f"{case} cannot be computed: {' '.join(str(error).split())}") from error
    return CaseReport(case, outputs, losses, gradient, worst)


def read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise GoldenError(f"{path.name} is missing in {path.parent}") from error
    except (OSError, ValueError) as error:
        raise GoldenError(f"{path} is not readable as JSON: {error}") from error
    if not isinstance(content, dict):
        raise GoldenError(f"{path} must hold a JSON object")
    return content


def read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise GoldenError(f"{path.name} is missing in {path.parent}") from error
    except (OSError, SafetensorError) as error:
        raise GoldenError(f"{path} is not a whole safetensors file: {error}") from error


def read_all(folder: Path, names: list[str]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name in names:
        tensors |= read_tensors(folder / name)
    return tensors


def build_case_model(folder: Path, description: Mapping[str, Any], golden: Mapping[str, Tensor]) -> SkinGPT:
    """The tiny backbone and the case's own or the shared branch; sizes from shapes, top-k from the routing."""
    config = Qwen2_5_VLConfig.from_dict(read_json(folder / "config.json"))
    shared = all(name.startswith("side_params-") for name in description["params"])
    weights = read_tensors(folder / ("backbone.safetensors" if shared else "backbone_narrow.safetensors"))
    side = read_all(folder, description["params"])
    weights["lm_head.weight"] = side.pop("lm_head.weight")
    backbone = Qwen2_5_VLForConditionalGeneration(config)
    backbone.load_state_dict(weights)
    routing = golden.get("out.routing_top2")
    sizes = SkinBranchConfig.from_state(side, top_k=2 if routing is None else routing.shape[-1])
    branch = SkinBranch(sizes)
    branch.load_state_dict(side)
    return SkinGPT(backbone.eval().requires_grad_(False), branch, "all_steps")


def off(ours: Tensor, theirs: Tensor | float) -> float:
    """Largest absolute difference. Raises GoldenError for another shape."""
    theirs = torch.as_tensor(theirs, dtype=torch.float64)
    if ours.shape != theirs.shape:
        raise GoldenError(f"a golden tensor is {list(theirs.shape)}, ours is {list(ours.shape)}")
    return float((ours.detach().double() - theirs).abs().max())


def reference_forward(model: SkinGPT, given: dict[str, Tensor]) -> dict[str, Tensor | None]:
    """Outputs and losses under the golden files' names, with gradients; None for what this branch has not."""
    batch = {name: value for name, value in given.items() if name not in ("labels", "skin_labels", "teacher_feat")}
    branch, bias = model.run_branch(batch)
    if model.branch is None or branch is None or bias is None:
        raise GoldenError("a case without pixel_values exercises nothing of the side branch")
    mask = given["labels"] != NO_LABEL
    hidden = model.hidden_states(batch)
    head = model.qwen.lm_head
    biased = head(hidden + bias[:, None] * mask[..., None])
    text_bias = model.branch.text_bias(branch.vision_embed)
    return reference_losses(branch, biased, given) | {
        "vision_embed": branch.vision_embed,
        "vision_proj": branch.vision_proj,
        "skin_logits": branch.skin_logits,
        "text_bias": text_bias,
        "vocab_bias": head(text_bias),
        "hidden": hidden,
        "logits_unbiased": head(hidden),
        "logits_biased": biased,
        "bias_mask": mask,
        "routing_top2": branch.routing,
    }


def reference_losses(branch: BranchOutput, biased: Tensor, given: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    labels, zero = given["labels"], biased.new_zeros(())
    distill = skin = zero
    if (teacher := given.get("teacher_feat")) is not None:
        distill = DISTILL_FACTOR * (1 - functional.cosine_similarity(branch.vision_proj, teacher, dim=-1)).mean()
    skin_labels = given.get("skin_labels")
    if skin_labels is not None and branch.skin_logits is not None and bool((skin_labels >= 0).all()):
        skin = functional.cross_entropy(branch.skin_logits, skin_labels)
    return {
        "loss_sft": functional.cross_entropy(
            biased[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=NO_LABEL
        ),
        "loss_distill": distill,
        "loss_aux": zero if branch.balance is None else branch.balance.sum(),
        "loss_skin": skin,
    }


def compare_outputs(ours: Mapping[str, Tensor | None], golden: Mapping[str, Tensor]) -> dict[str, float]:
    """Difference by name, for every `out.*` of the case. Raises GoldenError for one that is not computed here."""
    rows, columns = golden["out.positions"].T.long()
    found = dict(ours)
    for name in ("bias_mask", "logits_unbiased", "logits_biased"):
        found[name] = ours[name][rows, columns]  # type: ignore[index]
    found["hidden_at_positions"] = ours["hidden"][rows, columns]  # type: ignore[index]
    found["aux_loss"] = ours["loss_aux"]
    differences = {}
    for name in sorted(name.removeprefix("out.") for name in golden if name.startswith("out.")):
        theirs = golden[f"out.{name}"]
        if name in NOT_COMPARED:
            continue
        if (value := found.get(name)) is None:
            raise GoldenError(f"out.{name} has no counterpart here")
        if name == "routing_top2":  # a set: the order of two experts changes nothing
            value, theirs = value.sort(-1).values, theirs.sort(-1).values
        scalar = value.dim() == 0 and theirs.numel() == 1
        differences[name] = off(value, theirs.reshape(()) if scalar else theirs)
    if not differences:
        raise GoldenError("there is no output to compare with (out.*)")
    return differences


def compare_gradients(model: SkinGPT, golden: Mapping[str, Tensor], absent: list[str]) -> tuple[float, str]:
    """Largest relative difference over the reference's parameters and the name of the worst one."""
    assert model.branch is not None
    own = SkinBranch(model.branch.config)
    for (_, parameter), target in zip(model.branch.named_parameters(), own.parameters(), strict=True):
        target.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    ours = own.state_dict()
    if model.qwen.lm_head.weight.grad is not None:
        ours["lm_head.weight"] = model.qwen.lm_head.weight.grad
    expected = dict(golden) | {name: torch.zeros_like(ours[name]) for name in absent if name in ours}
    if missing := sorted(set(expected) - set(ours)):
        raise GoldenError(f"golden gradients of unknown parameters: {', '.join(missing)}")
    worst = (-1.0, "")
    for name, theirs in expected.items():
        scale = float(theirs.abs().max())
        difference = off(ours[name], theirs) / (scale or 1.0)
        if not difference <= worst[0]:  # so that NaN wins
            worst = (difference, name)
    return worst
