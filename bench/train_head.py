"""Peak memory of one pass through the head and back, in a process of its own: `python -m bench.train_head WAY ROWS`.

Hidden states, head and labels are there before; what is counted is what comes on top, by the kernel's own high-water
mark. Prints bytes.
"""

import contextlib
import ctypes
import sys
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from bench.reporting import peak_rss, reset_peak_rss, resident
from bench.train_shape import FIXED, PROMPT, SCORED, VISUAL
from modelhub.ml.answer_head import answer_loss, bias_rows
from modelhub.ml.losses import NO_LABEL

HIDDEN, VOCABULARY = FIXED.text["hidden_size"], FIXED.text["vocab_size"]
LENGTH = VISUAL + PROMPT + SCORED
SMALL = 64


def straightforward(hidden: Tensor, lm_head: Tensor, labels: Tensor, bias: Tensor) -> Tensor:
    """Logits at every position, both cross-entropies."""
    logits = hidden @ lm_head.T
    functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
    mask = (labels.roll(-1, dims=1) >= 0)[..., None]
    logits = logits + (bias @ lm_head.T)[:, None, :] * mask
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())


def ours(kept: Tensor, lm_head: Tensor, targets: Tensor, bias: Tensor) -> Tensor:
    rows = bias_rows(torch.full((len(bias),), SCORED), len(kept), "all_steps")
    return answer_loss(kept, lm_head, targets, bias=bias, bias_rows=rows) / len(kept)


def main(way: str, rows: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    hidden, lm_head = torch.randn(rows, LENGTH, HIDDEN), torch.randn(VOCABULARY, HIDDEN) * 0.02
    labels = torch.full((rows, LENGTH), NO_LABEL)
    labels[:, -SCORED:] = torch.randint(0, VOCABULARY, (rows, SCORED))
    bias = (torch.randn(rows, HIDDEN) * 0.1).requires_grad_()
    run: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = straightforward
    if way == "ours":  # what the trainer has: the states that predict an answer token, and those tokens
        run, hidden, labels = ours, hidden[:, -SCORED - 1 : -1].reshape(-1, HIDDEN), labels[:, -SCORED:].flatten()
    # code and workspaces of the libraries come in with the first small pass
    run(hidden, lm_head[:SMALL], labels.clamp(max=SMALL - 1), bias).backward()
    bias.grad = None
    give_back_freed_memory()
    if not reset_peak_rss():
        raise SystemExit("this kernel does not let a process reset its high-water mark (/proc/self/clear_refs)")
    before = resident()
    run(hidden, lm_head, labels, bias).backward()
    print(peak_rss() - before)


def give_back_freed_memory() -> None:
    """What the first pass freed and the allocator kept would hide as much of the second."""
    with contextlib.suppress(AttributeError):  # glibc's own
        ctypes.CDLL(None).malloc_trim(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
