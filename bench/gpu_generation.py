"""Tokens per second at several batch sizes against one request at a time, and against what the memory allows."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch

from bench.budget import Budget, OutOfTime
from bench.gpu_model import Shape, draw_noise, words_of
from bench.reporting import note
from modelhub.ml.backends.base import EVALUATION, Failure, Request
from modelhub.ml.generate import generate
from modelhub.ml.loading import LoadedModel
from modelhub.ml.patches import PatchWorkers
from modelhub.ml.processor import Message, encode_prompts

PICTURES = 8
# bytes per second that a card's memory gives, as published; another card's is measured by a copy
BANDWIDTH = {"H100 PCIe": 2.0e12, "H100 NVL": 3.9e12, "H100": 3.35e12, "H200": 4.8e12, "A100-SXM4-80GB": 2.04e12}


@dataclass(frozen=True)
class Measured:
    """`tokens_per_s`: new tokens by the whole time, prompts and pictures included; `decode_tokens_per_s`: rows by the
    median step. `roofline_tokens_per_s`: weights and cached keys read once per step at the memory's speed."""

    batch: int
    new_tokens: int
    seconds: float
    tokens_per_s: float
    decode_tokens_per_s: float
    roofline_tokens_per_s: float | None
    share_of_roofline: float | None
    peak_bytes: int | None


def measure_generation(loaded: LoadedModel, shape: Shape, folder: Path, budget: Budget) -> dict[str, Any]:
    """`{"rows": […], "one_request": […], "ratio": …, "complete": …}`; what the time did not allow is missing."""
    found: dict[str, Any] = {"rows": [], "one_request": [], "complete": False}
    with_workers = PatchWorkers()
    try:
        for rows, columns in shape.visual:
            images = draw_noise(folder, rows, columns, PICTURES)
            note(f"generation, {rows * columns} visual tokens: one request at a time")
            write(loaded, replace(shape, new_tokens=4), images, 1, with_workers, budget)  # sets libraries up
            one_request_loop(loaded, replace(shape, new_tokens=4), images[0], budget)
            single = one_request_loop(loaded, shape, images[0], budget)
            note(f"  {single['tokens_per_s']:,.0f} tokens/s")
            found["one_request"].append({"visual_tokens": rows * columns, **single})
            for batch in shape.batches:
                note(f"generation, {rows * columns} visual tokens: batch {batch}")
                measured = write(loaded, shape, images, batch, with_workers, budget)
                found["rows"].append({"visual_tokens": rows * columns, **asdict(measured)})
                note(f"  {measured.tokens_per_s:,.0f} tokens/s, steps alone {measured.decode_tokens_per_s:,.0f}")
        found["complete"] = True
    except OutOfTime as error:
        note(f"generation: {error}")
    finally:
        with_workers.close()
    found["ratio"] = best_ratio(found)
    return found


def write(
    loaded: LoadedModel,
    shape: Shape,
    images: Sequence[Path],
    batch: int,
    workers: PatchWorkers,
    budget: Budget,
) -> Measured:
    """`batch` requests by the product's own generation, all in work at once."""
    settings = replace(EVALUATION, batch_size=batch, max_new_tokens=shape.new_tokens)
    prompt = words_of(loaded.processor, shape.prompt_tokens, 0)
    requests = [Request(f"r{n}", (images[n % len(images)],), prompt) for n in range(batch)]
    steps: list[float] = []

    def tick() -> None:
        steps.append(time.perf_counter())
        budget.check()

    reset_peak(loaded)
    began = time.perf_counter()
    outputs = list(generate(loaded, requests, settings, workers=workers, tick=tick))
    seconds = time.perf_counter() - began
    if failed := [output for output in outputs if isinstance(output, Failure)]:
        raise RuntimeError(f"a request failed: {failed[0].sentence}")
    written = sum(output.tokens or 0 for output in outputs if not isinstance(output, Failure))
    prompt_tokens = max(o.details["prompt_tokens"] for o in outputs if not isinstance(o, Failure))
    gaps = [later - earlier for earlier, later in pairwise(steps)]
    decode = batch / median(gaps) if gaps else batch * len(steps) / seconds
    roofline = roofline_tokens(loaded, batch, prompt_tokens + settings.max_new_tokens / 2)
    return Measured(
        batch=batch,
        new_tokens=written,
        seconds=round(seconds, 3),
        tokens_per_s=round(written / seconds, 1),
        decode_tokens_per_s=round(decode, 1),
        roofline_tokens_per_s=None if roofline is None else round(roofline, 1),
        share_of_roofline=None if roofline is None else round(decode / roofline, 4),
        peak_bytes=peak(loaded),
    )


def one_request_loop(loaded: LoadedModel, shape: Shape, image: Path, budget: Budget) -> dict[str, Any]:
    """The way of the public reference: one request at a time through transformers' `generate`, its settings."""
    prompt = words_of(loaded.processor, shape.prompt_tokens, 0)
    reset_peak(loaded)
    began = time.perf_counter()
    batch = encode_prompts(loaded.processor, [([Message("user", prompt)], [image])])
    ids = loaded.model.generate(
        {name: value.to(loaded.model.device) for name, value in batch.items()},
        max_new_tokens=shape.new_tokens,
        do_sample=True,
        temperature=EVALUATION.temperature,
        top_p=EVALUATION.top_p,
    )
    written = ids.shape[1] - batch["input_ids"].shape[1]
    seconds = time.perf_counter() - began
    budget.check()
    rate = round(written / seconds, 1)
    return {
        "new_tokens": written,
        "seconds": round(seconds, 3),
        "tokens_per_s": rate,
        "peak_bytes": peak(loaded),
    }


def best_ratio(found: dict[str, Any]) -> float | None:
    """The best batch against the one-request loop, over the same pictures; the smallest over the picture sizes."""
    ratios = []
    for single in found["one_request"]:
        rates = [row["tokens_per_s"] for row in found["rows"] if row["visual_tokens"] == single["visual_tokens"]]
        if rates:
            ratios.append(max(rates) / single["tokens_per_s"])
    return round(min(ratios), 2) if ratios else None


def roofline_tokens(loaded: LoadedModel, batch: int, context: float) -> float | None:
    """Tokens per second where a step takes as long as reading the language model and the cached keys once."""
    speed = memory_speed(loaded.model.device)
    if speed is None:
        return None
    text = loaded.model.qwen.model.language_model
    width = text.embed_tokens.weight.element_size()
    weights = width * (sum(p.numel() for p in text.layers.parameters()) + loaded.model.qwen.lm_head.weight.numel())
    config = text.config
    head = config.hidden_size // config.num_attention_heads
    per_token = 2 * width * config.num_hidden_layers * config.num_key_value_heads * head
    return batch * speed / (weights + batch * context * per_token)


def memory_speed(device: torch.device) -> float | None:
    """Bytes per second, read or written; None where there is no card."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    for known, speed in BANDWIDTH.items():
        if known in name:
            return speed
    block = torch.empty(1 << 30, dtype=torch.uint8, device=device)
    block.clone()
    torch.cuda.synchronize(device)
    began = time.perf_counter()
    for _ in range(10):
        block.clone()
    torch.cuda.synchronize(device)
    return 20 * block.numel() / (time.perf_counter() - began)


def reset_peak(loaded: LoadedModel) -> None:
    if loaded.model.device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()


def peak(loaded: LoadedModel) -> int | None:
    return torch.cuda.max_memory_allocated() if loaded.model.device.type == "cuda" else None
