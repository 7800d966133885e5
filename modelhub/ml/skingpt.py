"""SkinGPT-R1: a Qwen2.5-VL backbone and the side branch that reads its image patches.

Architecture after the public reference implementation (arXiv 2511.15242, revision of September 2026). The branch never
feeds the backbone; it adds one vector per sample to the final hidden state, which `lm_head`, being linear, turns into
the reference's vocabulary bias.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from modelhub.ml.branch import BranchOutput, SkinBranch

BiasMode = Literal["off", "first_token", "all_steps"]
BIAS_MODES: tuple[str, ...] = get_args(BiasMode)


@dataclass
class SkinGPTOutput:
    """`logits`: [rows, length, vocabulary], float32."""

    logits: Tensor
    branch: BranchOutput | None


def map_images_to_rows(input_ids: Tensor, image_grid_thw: Tensor, *, image_token_id: int, merge_size: int) -> Tensor:
    """Row of each image, [images]: images are consumed in reading order, each by its merged patches.

    Raises ValueError where the image tokens of the rows and the images' sizes disagree.
    """
    tokens_per_row = (input_ids == image_token_id).sum(dim=1)
    tokens_per_image = image_grid_thw.prod(dim=1) // merge_size**2
    ends = tokens_per_image.cumsum(0)
    row_ends = tokens_per_row.cumsum(0)
    rows = torch.searchsorted(row_ends, ends)
    if int(ends[-1]) != int(row_ends[-1]) or not bool(torch.isin(row_ends[tokens_per_row > 0], ends).all()):
        raise ValueError(
            f"image tokens per row {tokens_per_row.tolist()} do not fit images of {tokens_per_image.tolist()} tokens"
        )
    return rows


class SkinGPT(nn.Module):
    """Backbone (a Qwen2_5_VLForConditionalGeneration, plain or wrapped by PEFT) and optional branch. A comparison model
    of another architecture has no branch; of what stands here it only generates.

    `bias_mode` says where the branch's bias falls: `all_steps` on every position that predicts an answer token,
    `first_token` on the first of them only, `off` nowhere.
    """

    def __init__(self, backbone: nn.Module, branch: SkinBranch | None = None, bias_mode: BiasMode = "off") -> None:
        super().__init__()
        if bias_mode not in BIAS_MODES:
            raise ValueError(f"bias_mode is {bias_mode!r}, must be one of {', '.join(BIAS_MODES)}")
        if bias_mode != "off" and branch is None:
            raise ValueError(f"bias_mode {bias_mode!r} needs a side branch, this model has none")
        self.backbone = backbone
        self.branch = branch
        self.bias_mode: BiasMode = bias_mode
        self._step_bias: Tensor | None = None
        if (head := self.qwen.get_output_embeddings()) is not None:  # some comparison models have none
            head.register_forward_pre_hook(self._add_step_bias)

    @property
    def qwen(self) -> Any:
        """The network itself; PEFT injects its layers in place, so calling this one runs them too."""
        get_base = getattr(self.backbone, "get_base_model", None)
        return get_base() if get_base else self.backbone

    @property
    def device(self) -> torch.device:
        return next(self.qwen.parameters()).device

    def run_branch(self, batch: Mapping[str, Tensor]) -> tuple[BranchOutput | None, Tensor | None]:
        """Branch output per image and bias per row [rows, hidden] (float32, zero for a row without image)."""
        if self.branch is None or batch.get("pixel_values") is None:
            return None, None
        rows = map_images_to_rows(
            batch["input_ids"],
            batch["image_grid_thw"],
            image_token_id=self.qwen.config.image_token_id,
            merge_size=self.qwen.config.vision_config.spatial_merge_size,
        )
        return self.branch_bias(batch["pixel_values"], batch["image_grid_thw"], rows, len(batch["input_ids"]))

    def branch_bias(
        self, pixel_values: Tensor, image_grid_thw: Tensor, image_rows: Tensor, rows: int
    ) -> tuple[BranchOutput, Tensor]:
        """The same without token ids: `image_rows` [images] says whose row each image is. Raises ValueError without a
        branch."""
        if self.branch is None:
            raise ValueError("this model has no side branch")
        output: BranchOutput = self.branch(pixel_values, image_grid_thw)
        return output, self.branch.row_bias(output.vision_embed, image_rows, rows)

    def hidden_states(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Final hidden states of the backbone, [rows, length, hidden]; the branch has no part in them."""
        names = ("input_ids", "attention_mask", "mm_token_type_ids", "pixel_values", "image_grid_thw")
        inputs = {name: batch[name] for name in names if batch.get(name) is not None}
        return self.qwen.model(**inputs, use_cache=False).last_hidden_state

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        mm_token_type_ids: Tensor,
        pixel_values: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
    ) -> SkinGPTOutput:
        """One pass without cache, every position biased as in `all_steps`. Training has its own way to the loss, in
        `answer_head`, that makes no logits of this size."""
        batch = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "mm_token_type_ids": mm_token_type_ids,
            "pixel_values": pixel_values,
            "image_grid_thw": image_grid_thw,
        }
        if self.bias_mode == "first_token":
            raise ValueError("bias_mode 'first_token' needs to know where the answer begins: generate or train")
        batch = {name: value for name, value in batch.items() if value is not None}
        branch, bias = self.run_branch(batch)
        hidden = self.hidden_states(batch)
        if bias is not None and self.bias_mode != "off":
            hidden = (hidden.float() + bias[:, None, :]).to(hidden.dtype)
        return SkinGPTOutput(self.qwen.lm_head(hidden).float(), branch)

    @torch.no_grad()
    def generate(self, batch: Mapping[str, Tensor], **settings: Any) -> Tensor:
        """`generate` of transformers with the bias in place; token ids [rows, prompt + new]."""
        with self._steered(self.run_branch(batch)[1]):
            return self.qwen.generate(**batch, **settings)

    @contextmanager
    def _steered(self, bias: Tensor | None) -> Iterator[None]:
        # `generate` encodes the images itself and drops pixel_values, so the bias must be known before it starts
        self._step_bias = None if self.bias_mode == "off" else bias
        try:
            yield
        finally:
            self._step_bias = None

    def _add_step_bias(self, _module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        if self._step_bias is None:
            return None
        hidden = args[0]
        biased = (hidden.float() + self._step_bias[:, None, :]).to(hidden.dtype)
        if self.bias_mode == "first_token":
            self._step_bias = None
        return (biased,)
