"""Qwen2.5-VL's language model one token at a time, for many rows that began at different times.

The same layers and weights as in transformers (equal tokens are tested), without what its general loop costs per step:
keys and values lie in tensors made beforehand, each row writes at its own column, so nothing is padded, concatenated or
masked anew, and a finished row's place goes to the next request. On a card a whole step is one CUDA graph.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from modelhub.ml.skingpt import SkinGPT

BLOCK = 256  # columns that the cache grows by; a CUDA graph is captured per size
PREFILL_TOKENS = 16_384  # prompt tokens read at once: bounds what reading them needs beside the cache


class Decoder:
    """Places for `rows` texts on the model's device.

    `logits` after `admit` or `step`: [rows, vocabulary], each row's distribution of its next token (float32). The
    branch's bias is in it as the model's `bias_mode` says.
    """

    def __init__(self, model: SkinGPT, rows: int, *, graphs: bool) -> None:
        self.model, self.graphs = model, graphs
        self.text: Any = model.qwen.model.language_model
        self.config = self.text.config
        self.heads, self.kv_heads = self.config.num_attention_heads, self.config.num_key_value_heads
        self.width = self.config.hidden_size // self.heads
        device, dtype = model.device, self.text.embed_tokens.weight.dtype
        self.keys = [torch.zeros(rows, self.kv_heads, 0, self.width, device=device, dtype=dtype) for _ in self.layers]
        self.values = [key.clone() for key in self.keys]
        self.tokens = torch.zeros(rows, dtype=torch.long, device=device)
        self.columns = torch.zeros_like(self.tokens)  # where each row's next key goes
        self.positions = torch.zeros_like(self.tokens)  # where it stands for the rotation: a picture's tokens share one
        self.taken = torch.zeros_like(self.tokens)  # 1 for a place with a request
        self.bias = torch.zeros(rows, self.config.hidden_size, device=device)
        self.logits = torch.zeros(rows, model.qwen.lm_head.out_features, device=device)
        self._graph: Any = None

    @staticmethod
    def fits(model: Any) -> bool:
        """Whether the model is a Qwen2.5-VL whose layers all attend to everything."""
        text: Any = getattr(getattr(getattr(model, "qwen", None), "model", None), "language_model", None)
        return type(text).__name__ == "Qwen2_5_VLTextModel" and not text.has_sliding_layers

    @property
    def layers(self) -> Any:
        return self.text.layers

    @property
    def capacity(self) -> int:
        """Columns of the cache."""
        return self.keys[0].shape[2]

    @torch.inference_mode()
    def admit(self, places: Sequence[int], batch: Mapping[str, Tensor]) -> None:
        """Read the prompts of a left-padded batch into these places, [len(places)] rows in order."""
        self.reserve(int(batch["attention_mask"].sum(dim=1).max()) + 1)
        share = max(1, PREFILL_TOKENS // batch["input_ids"].shape[1])
        for start in range(0, len(places), share):
            part = rows_of(batch, start, start + share, self.model)
            self._read(torch.tensor(places[start : start + share], device=self.model.device), part)

    def _read(self, places: Tensor, batch: dict[str, Tensor]) -> None:
        qwen = self.model.qwen
        mask = batch["attention_mask"]
        about = {name: value.cpu() for name, value in batch.items() if name != "pixel_values"}  # counted in Python
        positions, delta = qwen.model.get_rope_index(**about)
        inputs = {name: value for name, value in batch.items() if name != "mm_token_type_ids"}
        output = qwen.model(**inputs, position_ids=positions.to(mask.device), use_cache=True)
        lengths = mask.sum(dim=1)
        span = mask.shape[1]
        # left-padded to left-aligned: column c of a row is its (padding + c)th token; what lies behind is never seen
        shift = ((torch.arange(span, device=mask.device) + (span - lengths)[:, None]) % span)[:, None, :, None]
        fits = min(span, self.capacity)
        for layer, kept in enumerate(output.past_key_values.layers):
            for store, found in ((self.keys[layer], kept.keys), (self.values[layer], kept.values)):
                store[places, :, :fits] = found.take_along_dim(shift, dim=2)[:, :, :fits].to(store.dtype)
        self.columns[places], self.taken[places] = lengths, 1
        self.positions[places] = lengths + delta.view(-1).to(lengths.device)
        self._start(places, output.last_hidden_state[:, -1], self.model.run_branch(batch)[1])

    def _start(self, places: Tensor, hidden: Tensor, bias: Tensor | None) -> None:
        """First logits, and the bias that stays for the steps after."""
        mode = self.model.bias_mode
        self.bias[places] = bias if bias is not None and mode == "all_steps" else 0.0
        if bias is not None and mode != "off":
            hidden = (hidden.float() + bias).to(hidden.dtype)
        self.logits[places] = self.model.qwen.lm_head(hidden).float()

    def reserve(self, columns: int) -> None:
        """At least so many columns. Layer by layer, so that growing needs one layer's memory twice, not all."""
        if columns <= self.capacity:
            return
        more = -(-columns // BLOCK) * BLOCK - self.capacity
        self._graph = None
        for store in (self.keys, self.values):
            for layer, kept in enumerate(store):
                store[layer] = functional.pad(kept, (0, 0, 0, more))
        table = torch.arange(self.capacity, device=self.model.device)[None, None].expand(3, 1, -1)
        cosine, sine = self.text.rotary_emb(self.keys[0], table)  # the three axes are one behind the prompt
        self.cosine, self.sine = cosine[0], sine[0]

    @torch.inference_mode()
    def step(self, tokens: Tensor, longest: int) -> Tensor:
        """Write these tokens [rows] and return the logits behind them. `longest`: the greatest of `columns`.

        A place that was released may be given any token; its logits mean nothing.
        """
        self.reserve(longest + 1)
        self.tokens.copy_(tokens)
        if not self.graphs:
            self._forward(longest + 1)
        elif self._graph is None:
            self._capture()
        else:
            self._graph.replay()
        self.columns += self.taken
        self.positions += self.taken
        return self.logits

    @torch.inference_mode()
    def release(self, places: Sequence[int]) -> None:
        """Free these places."""
        gone = torch.tensor(places, device=self.model.device)
        for state in (self.columns, self.positions, self.taken):
            state[gone] = 0

    def _capture(self) -> None:
        """Run this step while recording it for the next ones. (A first run apart lets libraries set themselves up.)"""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._forward(self.capacity)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._forward(self.capacity)
        self._graph.replay()

    def _forward(self, span: int) -> None:
        rows = torch.arange(len(self.tokens), device=self.tokens.device)
        seen = (torch.arange(span, device=rows.device) <= self.columns[:, None])[:, None, None]
        cosine, sine = self.cosine[self.positions][:, None], self.sine[self.positions][:, None]
        hidden = self.text.embed_tokens(self.tokens)
        for number, layer in enumerate(self.layers):
            attention = layer.self_attn
            normed = normalise(hidden, layer.input_layernorm)
            query, key, value = (
                project(normed).view(len(rows), -1, self.width)
                for project in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            self.keys[number][rows, :, self.columns] = rotate(key, cosine, sine)
            self.values[number][rows, :, self.columns] = value
            # the query heads that share a key head stand as its queries, so that no key is repeated
            attended = functional.scaled_dot_product_attention(
                rotate(query, cosine, sine).view(len(rows), self.kv_heads, -1, self.width),
                self.keys[number][:, :, :span],
                self.values[number][:, :, :span],
                attn_mask=seen,
            )
            hidden = hidden + attention.o_proj(attended.reshape(len(rows), -1))
            hidden = hidden + layer.mlp(normalise(hidden, layer.post_attention_layernorm))
        hidden = normalise(hidden, self.text.norm)
        biased = (hidden.float() + self.bias).to(hidden.dtype)
        self.logits.copy_(self.model.qwen.lm_head(biased))

    @torch.inference_mode()
    def keep(self, places: Tensor) -> None:
        """Only these rows, in this order: fewer rows make a step cheaper."""
        self._graph = None
        for store in (self.keys, self.values):
            for layer, kept in enumerate(store):
                store[layer] = kept[places]
        for name in ("tokens", "columns", "positions", "taken", "bias", "logits"):
            setattr(self, name, getattr(self, name)[places])


def rows_of(batch: Mapping[str, Tensor], start: int, stop: int, model: SkinGPT) -> dict[str, Tensor]:
    """Rows `start` to `stop` of a batch with their own pictures."""
    names = ("input_ids", "attention_mask", "mm_token_type_ids")
    part = {name: batch[name][start:stop] for name in names}
    if (grids := batch.get("image_grid_thw")) is None:
        return part
    tokens = batch["mm_token_type_ids"].sum(dim=1).cumsum(dim=0)
    first, last = (int(tokens[row - 1]) if row else 0 for row in (start, min(stop, len(tokens))))
    ends = (grids.prod(dim=1) // model.qwen.config.vision_config.spatial_merge_size**2).cumsum(dim=0)
    own = (ends > first) & (ends <= last)
    if bool(own.any()):
        patch_rows = own.repeat_interleave(grids.prod(dim=1))
        part |= {"image_grid_thw": grids[own], "pixel_values": batch["pixel_values"][patch_rows]}
    return part


def normalise(hidden: Tensor, norm: Any) -> Tensor:
    return functional.rms_norm(hidden, (hidden.shape[-1],), norm.weight, norm.variance_epsilon)


def rotate(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary position embedding of [rows, heads, width] by [rows, 1, width]."""
    first, second = heads.chunk(2, dim=-1)
    return heads * cosine + torch.cat((-second, first), dim=-1) * sine
