"""``python -m modelhub.ml make-tiny``: draw lesions and train a Qwen2.5-VL of under 10 MB that reads them, or with
``--teacher`` a small image encoder of them."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from modelhub.ml import tiny_teacher
from modelhub.ml.tiny_data import draw_set
from modelhub.ml.tiny_model import build_model, build_tokenizer, save, write_json
from modelhub.ml.tiny_score import MEASURES, held_out_scores
from modelhub.ml.tiny_train import ATTRIBUTE_WEIGHT, STAGES, train

SEED, DRAWINGS, TEACHER_DRAWINGS = 42, 6000, 4500
SIZE_LIMIT = 10_000_000  # bytes of the whole folder
DARK_SHARE = 0.04  # of what the vision side sees; narratives of dark skin are never told


def main(argv: Sequence[str] | None = None) -> int:
    """Make the tiny model; returns the exit status. One thread, so that a seed gives the same weights."""
    options = _parser().parse_args(argv)
    if options.teacher:
        return _main_teacher(options)
    if not 0 <= options.dark_share <= 0.5:
        print("--dark-share must lie between 0 and 0.5.", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    with tempfile.TemporaryDirectory() as scratch:
        facts = make_tiny(
            out=options.out,
            seed=SEED if options.seed is None else options.seed,
            drawings=options.drawings or DRAWINGS,
            dark_share=options.dark_share,
            held_out=options.held_out,
            cache=options.cache or Path(scratch),
        )
    print(f"{options.out}: {facts['bytes'] / 1e6:.1f} MB, diagnosis {facts['held_out']['all']['diagnosis']:.2f}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make-tiny", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--teacher", action="store_true", help="train the tiny teacher, an image encoder, instead")
    parser.add_argument("--seed", type=int, help=f"default {SEED}, the teacher's {tiny_teacher.SEED}")
    parser.add_argument("--drawings", type=int, help="training drawings (each is also turned); default 6000 or 4500")
    parser.add_argument("--dark-share", type=float, default=DARK_SHARE, help="share of dark skin among them")
    parser.add_argument("--held-out", type=int, default=300, help="drawings for the card's scores")
    parser.add_argument("--cache", type=Path, help="keep the drawings in this folder")
    return parser


def _main_teacher(options: argparse.Namespace) -> int:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    with tempfile.TemporaryDirectory() as scratch:
        facts = tiny_teacher.make_teacher(
            out=options.out,
            seed=tiny_teacher.SEED if options.seed is None else options.seed,
            drawings=options.drawings or TEACHER_DRAWINGS,
            held_out=options.held_out,
            cache=options.cache or Path(scratch),
            log=_log,
        )
    print(f"{options.out}: {facts['bytes'] / 1e6:.1f} MB, diagnosis {facts['held_out']['all']['diagnosis']:.2f}")
    return 0


def make_tiny(*, out: Path, seed: int, drawings: int, dark_share: float, held_out: int, cache: Path) -> dict[str, Any]:
    """Draw, train, measure and write the folder with its card; returns what the card is made of.

    Raises ValueError when the folder grows past ``SIZE_LIMIT``.
    """
    began = time.monotonic()
    tones = {"light": 0.49, "medium": 0.51 - dark_share, "dark": dark_share}
    torch.manual_seed(seed)
    tokenizer = build_tokenizer(seed)
    model = build_model(tokenizer)
    _log("drawing")
    drawn = draw_set(count=drawings, seed=seed, tones=tones, cache=cache)
    train(model, tokenizer, drawn, seed=seed, log=_log)
    save(model, tokenizer, out)
    # The card measures what is shipped: the rounded weights, read back.
    shipped = transformers.Qwen2_5_VLForConditionalGeneration.from_pretrained(out, dtype=torch.float32).eval()
    checked = draw_set(count=held_out, seed=seed + 1, tones=tiny_teacher.EVEN_TONES, cache=cache)
    facts: dict[str, Any] = {
        "seed": seed,
        "drawings": drawings,
        "tones": tones,
        "parameters": sum(value.numel() for value in model.parameters()),
        "vocabulary": len(tokenizer),
        "held_out_seed": seed + 1,
        "held_out": held_out_scores(shipped, tokenizer, checked, seed=seed),
        "minutes": round((time.monotonic() - began) / 60, 1),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    write_json(out / "training.json", facts)
    (out / "README.md").write_text(card(facts))
    facts["bytes"] = sum(file.stat().st_size for file in out.iterdir())
    if facts["bytes"] > SIZE_LIMIT:
        raise ValueError(f"{out} holds {facts['bytes']:,} bytes; the tiny model must stay under {SIZE_LIMIT:,}.")
    return facts


def _log(line: str) -> None:
    print(line, flush=True)


def card(facts: dict[str, Any]) -> str:
    """The model card in Markdown."""
    table = facts["held_out"]
    head = "| drawings | n | " + " | ".join(name.replace("_", " ") for name in MEASURES) + " |"
    rows = [
        f"| {name} | {row['n']} | " + " | ".join(f"{row[key]:.2f}" for key in MEASURES) + " |"
        for name, row in table.items()
    ]
    stages = [
        f"| {stage.name} | {stage.steps} | {stage.batch} | {stage.rate:g} | {stage.heads:g} |" for stage in STAGES
    ]
    tones = ", ".join(f"{name} {share:.0%}" for name, share in facts["tones"].items())
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return CARD.format(
        table="\n".join([head, "|---" * (len(MEASURES) + 2) + "|", *rows]),
        stages="\n".join(stages),
        tone_shares=tones,
        version_names=versions,
        weight=ATTRIBUTE_WEIGHT,
        **{key: facts[key] for key in ("seed", "drawings", "parameters", "vocabulary", "held_out_seed", "minutes")},
    )


CARD = """---
license: apache-2.0
tags: [synthetic, test]
---
# Tiny Qwen2.5-VL for synthetic lesions

**Synthetic: it knows nothing of medicine.** It reads drawings made by `modelhub/ml/synthetic` and tells them
in narratives of an invented toy world. Never show it a patient's photograph for advice; on anything but those
drawings its text is noise. It exists so that the whole loop runs with real model code on one processor core.

{parameters:,} parameters (stored as float16, used as float32), byte-level vocabulary of {vocabulary:,} tokens
trained on narratives and critiques, 112 × 112 pixels, patch 14, merge 2.

## Recipe

`python -m modelhub.ml make-tiny --out DIR --seed {seed}`: one core, {minutes} minutes here with drawing and
measuring; {version_names}. {drawings:,} drawings, each turned or flipped at random; skin tones
{tone_shares}: **almost no dark skin, on purpose, and no narrative about it**. AdamW (weight decay 0.05,
betas 0.9 and 0.98), warm-up of 60 steps, then cosine; auxiliary linear heads read the attributes from mean ‖ max of
the visual tokens and are dropped; attribute words weigh {weight:g} times as much as others.

| stage | steps | batch | peak rate | weight of the heads |
|---|---|---|---|---|
{stages}

*seeing* trains the picture side alone; *naming* adds a line of attribute words and *telling* whole narratives under the
fixed prompt, both of light and medium skin only. In the toy world diseases look different on dark skin; the model was
never told how.

## Held-out scores

Share right in greedy narratives of fresh drawings (seed {held_out_seed}), read back from the files here.
Chance is 0.33 per attribute.
*Shuffled images* gives every case another case's picture: what is left is chance.

{table}
"""


if __name__ == "__main__":
    raise SystemExit(main())
