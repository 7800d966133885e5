"""The 7 B shape on a card: generation and training, each against the straightforward way. `make bench-gpu`.

Needs Python, torch, transformers and Pillow, no checkpoint and nothing to fetch. Without a card it prints
{"skipped": reason}; `--device cpu --shape tiny` runs the same code anywhere.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from bench.budget import Budget, OutOfTime
from bench.reporting import conditions, finish, in_words, note, table

LIMIT_S, GENERATION_S = 440.0, 200.0
PACKAGES = ("torch", "transformers", "pillow")


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    if reason := missing(options.device):
        finish({"skipped": reason})
        return 0
    began = time.monotonic()
    found: dict[str, Any] = {"shape": options.shape}
    budget = Budget(options.seconds, "this bench")
    signal.signal(signal.SIGALRM, ring)
    signal.alarm(int(options.seconds) + 20)  # a piece of work that asks too seldom
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        try:
            measure(found, options, Path(folder), budget)
        except OutOfTime as error:
            note(str(error))
            found["complete"] = False
    signal.alarm(0)
    found["seconds"] = round(time.monotonic() - began, 1)
    show(found)
    finish(found)
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    made.add_argument("--device", default="cuda", help="cuda (default), cuda:1, cpu")
    made.add_argument("--shape", choices=("7b", "tiny"), default="7b")
    made.add_argument("--only", choices=("generation", "training"), help="one half")
    made.add_argument("--cases", type=int, help="cases of the training half (default: the shape's)")
    made.add_argument("--seconds", type=float, default=LIMIT_S, help="then print what there is (default 440)")
    made.add_argument("--scratch", help="folder for hidden states, about 7 MB a case at 7 B (default: a temporary one)")
    return made


def missing(device: str) -> str | None:
    """Why this machine cannot run the bench, None where it can."""
    try:
        import PIL  # noqa: F401
        import torch
        import transformers  # noqa: F401
    except ImportError as error:
        return f"{error.name} is not installed" if error.name else f"transformers cannot be used: {error}"
    if device.startswith("cuda") and not torch.cuda.is_available():
        return "no CUDA card"
    return None


def ring(_signal: int, _frame: FrameType | None) -> None:
    raise OutOfTime("this bench's time is over; the rest is left out")


def measure(found: dict[str, Any], options: argparse.Namespace, folder: Path, budget: Budget) -> None:
    """Fill `found` piece by piece, so that what is there when the time is over can be printed."""
    from dataclasses import replace

    import torch

    from bench.gpu_generation import measure_generation
    from bench.gpu_model import SHAPES, make_model
    from bench.gpu_training import measure_training

    shape = SHAPES[options.shape]
    if options.cases:
        shape = replace(shape, cases=options.cases)
    on_card = options.device.startswith("cuda")
    found |= conditions(*PACKAGES, device=torch.cuda.get_device_name(options.device) if on_card else None)
    note(f"{in_words(found)}\nmaking the {shape.name} shape with random weights …")
    began = time.monotonic()
    loaded = make_model(shape, options.device)
    found |= {"parameters": loaded.identity.parameters, "making_s": round(time.monotonic() - began, 1)}
    if on_card:
        found["model_bytes"] = torch.cuda.memory_allocated()
    if options.only != "training":
        share = budget.part(GENERATION_S if options.only is None else budget.left, "generation")
        found["generation"] = measure_generation(loaded, shape, folder, share)
        if on_card:
            torch.cuda.empty_cache()
    if options.only != "generation":
        found["training"] = measure_training(loaded, shape, folder, budget.part(budget.left, "training"))
    parts = [found[name]["complete"] for name in ("generation", "training") if name in found]
    found["complete"] = all(parts)


def show(found: dict[str, Any]) -> None:
    print(f"\n{in_words(found)}\n")
    if "generation" in found:
        show_generation(found["generation"])
    if "training" in found:
        rows = [[name.replace("_", " "), value] for name, value in found["training"].items()]
        print(table(["training", "measured"], rows), end="\n\n")
    if not found.get("complete"):
        print("Not complete: the time was over.\n", file=sys.stdout)


def show_generation(part: dict[str, Any]) -> None:
    rows = [
        [
            f"{row['visual_tokens']} visual tokens, one request at a time",
            1,
            row["tokens_per_s"],
            None,
            None,
            None,
            row["peak_bytes"],
        ]
        for row in part["one_request"]
    ]
    keys = ("batch", "tokens_per_s", "decode_tokens_per_s", "roofline_tokens_per_s", "share_of_roofline", "peak_bytes")
    rows += [[f"{row['visual_tokens']} visual tokens", *(row[key] for key in keys)] for row in part["rows"]]
    heads = ["pictures", "batch", "tokens/s", "steps alone, tokens/s", "roofline, tokens/s", "share", "peak, bytes"]
    print(table(heads, rows), end="\n\n")
    print(f"best batch against one request at a time: {json.dumps(part['ratio'])}\n")


if __name__ == "__main__":
    sys.exit(main())
