"""Cross-entropy of answer tokens straight from final hidden states; logits exist for one chunk of tokens at a time.

`lm_head` is linear, so an image's bias on the vocabulary is one vector added to the hidden states of its row. All
biased tokens of a row share that vector: its gradient is lm_headᵀ · Σₜ (pₜ − onehotₜ), one product per row, not per
token. Where the hidden states themselves learn (LoRA), their gradient is made in the same pass, so that logits are
never kept or computed twice.
"""

import math
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK_LOGITS = {"cpu": 1 << 22, "cuda": 1 << 25}
LEAST_TOKENS = 64
UNBIASED = -1


def answer_loss(
    hidden: Tensor, lm_head: Tensor, targets: Tensor, *, bias: Tensor | None = None, bias_rows: Tensor | None = None
) -> Tensor:
    """Sum over tokens of −log p(target), a float32 scalar (float64 for float64 input); in nats.

    hidden [tokens, hidden], lm_head [vocabulary, hidden] (frozen), targets [tokens]; `bias` [rows, hidden] is added to
    token t where `bias_rows`[t] names its row, and to none where that is −1. Gradients flow to `hidden` and `bias`.
    Raises ValueError where lm_head would have to learn.
    """
    if lm_head.requires_grad:
        raise ValueError("lm_head is frozen in every recipe; its gradient is not computed here")
    if bias is None or bias_rows is None:
        bias = bias_rows = None
    loss: Tensor = _AnswerLoss.apply(hidden, lm_head, targets, bias, bias_rows)
    return loss


def bias_rows(answer_lengths: Tensor, tokens: int, mode: Literal["off", "first_token", "all_steps"]) -> Tensor | None:
    """Row whose bias each answer token gets, [tokens], −1 for none; None where the mode is off.

    `answer_lengths` [rows]: answer tokens of each row, one row after the other.
    """
    if mode == "off":
        return None
    rows = torch.arange(len(answer_lengths), device=answer_lengths.device)
    if mode == "all_steps":
        return rows.repeat_interleave(answer_lengths, output_size=tokens)
    starts = answer_lengths.cumsum(0) - answer_lengths
    return torch.full((tokens,), UNBIASED, device=rows.device).scatter(0, starts, rows)


def chunks(tokens: int, vocabulary: int, device: torch.device) -> Iterator[slice]:
    """Even pieces of the token axis, so many that their logits stay within the device's budget."""
    most = max(LEAST_TOKENS, CHUNK_LOGITS["cuda" if device.type == "cuda" else "cpu"] // vocabulary)
    size = math.ceil(tokens / math.ceil(tokens / most))
    for start in range(0, tokens, size):
        yield slice(start, min(start + size, tokens))


class _AnswerLoss(torch.autograd.Function):
    """The gradients are made in the forward pass, while a chunk's probabilities are at hand."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, lm_head: Tensor, targets: Tensor, bias: Tensor | None, rows: Tensor | None
    ) -> Tensor:
        wants_hidden, wants_bias = ctx.needs_input_grad[0], ctx.needs_input_grad[3]
        exact = torch.float64 if hidden.dtype == torch.float64 else torch.float32
        pieces = list(chunks(len(hidden), len(lm_head), hidden.device))
        room = hidden.new_empty((max(p.stop - p.start for p in pieces), len(lm_head)))  # one piece of memory for all
        loss = torch.zeros((), dtype=torch.float64, device=hidden.device)
        d_hidden = torch.empty_like(hidden) if wants_hidden else None
        reduced = bias is not None and wants_bias and not wants_hidden
        d_vocabulary = room.new_zeros((len(bias), len(lm_head)), dtype=exact) if bias is not None and reduced else None
        for piece in pieces:
            states = biased(hidden[piece], bias, None if rows is None else rows[piece])
            logits = torch.mm(states, lm_head.T, out=room[: len(states)]).to(exact)
            logs = torch.log_softmax(logits, dim=1, out=logits)
            picked = targets[piece, None]
            loss -= logs.gather(1, picked).sum(dtype=torch.float64)
            if d_vocabulary is not None:
                add_residuals(d_vocabulary, logs.exp_(), targets[piece], rows[piece])  # type: ignore[index]
            elif d_hidden is not None:
                logs.exp_().scatter_add_(1, picked, logs.new_full(picked.shape, -1.0))
                torch.mm(logs.to(lm_head.dtype), lm_head, out=d_hidden[piece])
        d_bias = None
        if d_vocabulary is not None:
            d_bias = (d_vocabulary.to(lm_head.dtype) @ lm_head).to(exact)
        elif d_hidden is not None and bias is not None and rows is not None:
            d_bias = sum_rows(d_hidden.to(exact), rows, len(bias))
        ctx.save_for_backward(d_hidden, d_bias)
        return loss.to(exact)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, None, None, Tensor | None, None]:
        d_hidden, d_bias = ctx.saved_tensors
        return (
            None if d_hidden is None else (scale * d_hidden).to(d_hidden.dtype),
            None,
            None,
            None if d_bias is None else scale * d_bias,
            None,
        )


def biased(hidden: Tensor, bias: Tensor | None, rows: Tensor | None) -> Tensor:
    """Hidden states with their rows' bias, added in the bias's precision."""
    if bias is None or rows is None:
        return hidden
    nothing = bias.new_zeros((1, bias.shape[1]))
    added = torch.cat([bias, nothing]).index_select(0, torch.where(rows == UNBIASED, len(bias), rows))
    return added.add_(hidden).to(hidden.dtype)


def add_residuals(d_vocabulary: Tensor, probabilities: Tensor, targets: Tensor, rows: Tensor) -> None:
    """d_vocabulary[row] += Σₜ (pₜ − onehotₜ) over the row's tokens, in place: [rows, vocabulary]."""
    member = rows == torch.arange(len(d_vocabulary), device=rows.device)[:, None]
    d_vocabulary.addmm_(member.to(probabilities.dtype), probabilities)
    ones = (rows != UNBIASED).to(d_vocabulary.dtype)
    d_vocabulary.index_put_((rows.clamp(min=0), targets), -ones, accumulate=True)


def sum_rows(values: Tensor, rows: Tensor, count: int) -> Tensor:
    """[tokens, width] → [count, width]; tokens of no row are left out."""
    kept = values * (rows != UNBIASED)[:, None]
    return values.new_zeros((count, values.shape[1])).index_add(0, rows.clamp(min=0), kept)
