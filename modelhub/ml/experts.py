"""The chosen experts of a mixture, all patches of an expert at once, with gradients written where they belong."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def run_experts(h: Tensor, chosen: Tensor, top: Tensor, w_in: Tensor, b_in: Tensor, w_out: Tensor) -> Tensor:
    """Σ over a patch's experts of weight · w_out · relu(w_in · h + b_in), [patches, embed].

    h [patches, embed]; chosen [patches, k] expert numbers and top [patches, k] their weights; w_in [experts, width,
    embed], b_in [experts, width], w_out [experts, embed, width].
    """
    flat = chosen.reshape(-1)
    order = flat.argsort(stable=True)
    sizes = torch.bincount(flat, minlength=len(w_in)).tolist()  # the one wait for the device per layer
    place = torch.empty_like(order).scatter(0, order, torch.arange(len(order), device=order.device))
    out: Tensor = _GroupedExperts.apply(h, top.reshape(-1)[order, None], w_in, b_in, w_out, order, place, sizes)
    return out


class _GroupedExperts(torch.autograd.Function):
    """Patches sorted by expert (`order`, undone by `place`), so that each expert is one slice of rows: autograd would
    cut, copy and stack every piece and every weight's gradient, which costs as much as the products."""

    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        weight: Tensor,
        w_in: Tensor,
        b_in: Tensor,
        w_out: Tensor,
        order: Tensor,
        place: Tensor,
        sizes: list[int],
    ) -> Tensor:
        ctx.sizes, ctx.k = sizes, len(order) // len(h)
        rows = h.index_select(0, order // ctx.k)  # several times as fast as h[…] on the CPU
        inner = rows.new_empty((len(rows), w_in.shape[1]))
        for expert, part in enumerate(slices(sizes)):
            torch.addmm(b_in[expert], rows[part], w_in[expert].T, out=inner[part])
        inner.relu_()
        gated, out = inner * weight, torch.empty_like(rows)
        for expert, part in enumerate(slices(sizes)):
            torch.mm(gated[part], w_out[expert].T, out=out[part])
        ctx.save_for_backward(rows, inner, gated, weight, w_in, w_out, order, place)
        return gather(out, place, ctx.k)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_sum: Tensor) -> tuple[Tensor | None, ...]:
        rows, inner, gated, weight, w_in, w_out, order, place = ctx.saved_tensors
        d_out = d_sum.index_select(0, order // ctx.k)
        d_gated, d_rows = torch.empty_like(gated), torch.empty_like(rows)
        d_w_in, d_w_out, d_b_in = torch.empty_like(w_in), torch.empty_like(w_out), w_in.new_empty(w_in.shape[:2])
        for expert, part in enumerate(slices(ctx.sizes)):
            torch.mm(d_out[part], w_out[expert], out=d_gated[part])
            torch.mm(d_out[part].T, gated[part], out=d_w_out[expert])
        d_weight = (d_gated * inner).sum(dim=1, keepdim=True)
        d_inner = d_gated.mul_(weight).mul_(inner > 0)
        for expert, part in enumerate(slices(ctx.sizes)):
            torch.mm(d_inner[part].T, rows[part], out=d_w_in[expert])
            torch.sum(d_inner[part], dim=0, out=d_b_in[expert])
            torch.mm(d_inner[part], w_in[expert], out=d_rows[part])
        return gather(d_rows, place, ctx.k), d_weight, d_w_in, d_b_in, d_w_out, None, None, None


def slices(sizes: list[int]) -> list[slice]:
    ends = torch.tensor(sizes).cumsum(0).tolist()
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def gather(rows: Tensor, place: Tensor, k: int) -> Tensor:
    """Sorted rows back to their patches, the k of a patch added up: [patches · k, width] → [patches, width]."""
    first, *others = place.view(-1, k).unbind(dim=1)
    total = rows.index_select(0, first)
    for other in others:
        total += rows.index_select(0, other)
    return total
