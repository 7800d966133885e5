"""The command `train`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from modelhub.ml.hub_files import parse_source
from modelhub.ml.train_settings import PRECISIONS, RECIPES

FLAGS: dict[str, tuple[type, str]] = {
    "epochs": (int, "how often every record is seen (published: 10)"),
    "lr": (float, "highest learning rate; warms up, then falls along a cosine (published: 1e-4)"),
    "rank": (int, "size of LoRA's matrices"),
    "alpha": (int, "scale of LoRA, commonly twice the rank"),
    "batch": (int, "records in memory at once"),
    "grad_accumulation": (int, "batches per step; batch times this is a step (published: 128 records)"),
    "warmup": (float, "share of all steps (published: 0.03)"),
    "weight_decay": (float, "of AdamW"),
    "max_grad_norm": (float, "longer gradients are shortened to this"),
    "seed": (int, "order of the records and first values of what is new (published: 42)"),
    "max_length": (int, "most tokens of a record; a longer one is refused, not cut (published: 4096)"),
    "checkpoint_every_steps": (int, "a stopped training goes on from its last checkpoint"),
}

PARTS = {"lora": "LoRA", "branch": "the side branch"}


def add_train(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="fine-tune an adapter on a DermCoT folder",
        description="Fine-tune LoRA in the language model and/or, by dual distillation, the side branch, on a folder "
        "with train.jsonl and its images. Run again with the same --out to resume. Flags win over --settings; what "
        "neither names has the published value.",
    )
    parser.add_argument(
        "--base", type=parse_source, required=True, help="checkpoint folder, or organisation/model[@revision]"
    )
    parser.add_argument("--start-adapter", type=Path, help="adapter folder to go on from")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl and images")
    parser.add_argument("--out", type=Path, required=True, help="folder for progress, checkpoint and adapter")
    parser.add_argument(
        "--cache",
        type=Path,
        help="folder of the frozen backbone's hidden states, which runs may share (default: OUT/hidden); "
        "recipe dual_distillation only",
    )
    parser.add_argument("--settings", type=Path, help="JSON file of settings")
    parser.add_argument("--recipe", choices=RECIPES, help="what learns (default: lora)")
    for name, (kind, words) in FLAGS.items():
        parser.add_argument("--" + name.replace("_", "-"), type=kind, help=words)
    parser.add_argument("--precision", choices=PRECISIONS, help="of the frozen weights; what learns is float32")
    parser.add_argument("--device", help="cpu (default), cuda, cuda:1 …")
    parser.add_argument("--threads", type=int, help="CPU threads for torch (default: its own choice)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run_train)


def run_train(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from modelhub.ml.checkpoint_files import read_json
    from modelhub.ml.train import train
    from modelhub.ml.train_settings import TrainSettings

    raw = read_json(arguments.settings) if arguments.settings else {}
    for name in ("recipe", "precision", "device", *FLAGS):
        if (value := getattr(arguments, name)) is not None:
            raw[name] = value
    with tqdm(disable=None) as bar:
        result = train(
            base=arguments.base,
            data=arguments.data,
            out=arguments.out,
            settings=TrainSettings.from_dict(raw),
            start_adapter=arguments.start_adapter,
            cache=arguments.cache,
            on_event=Shown(bar),
        )
    if arguments.json:
        found = {"adapter": str(result.adapter), "steps": result.steps, "losses": result.metrics}
        print(json.dumps(found | {"trainable_parameters": result.trainable_parameters}))
    else:
        print(f"{result.trainable_parameters:,} parameters trained in {result.steps} steps: {result.adapter}")
    return 0


class Shown:
    """The trainer's events on a progress bar, words above it."""

    def __init__(self, bar: Any) -> None:
        self.bar = bar
        self.what = ""

    def __call__(self, event: dict[str, Any]) -> None:
        if event["kind"] == "start":
            self.bar.write(opening(event), file=sys.stderr)
        elif event["kind"] == "notice":
            self.bar.write(event["text"], file=sys.stderr)
        elif event["kind"] == "reading":
            self.advance("Reading cases", event["done"], event["total"])
        else:
            self.bar.set_postfix(loss=f"{event['losses']['total']:.4f}", refresh=False)
            self.advance("Training", event["step"], event["steps"])

    def advance(self, what: str, done: int, total: int) -> None:
        if self.what != what:
            self.what = what
            self.bar.reset(total)
            self.bar.set_description(what, refresh=False)
        self.bar.update(done - self.bar.n)


def opening(event: dict[str, Any]) -> str:
    """What learns, what the teacher gave, and where it goes on."""
    parts = " and ".join(f"{count:,} numbers of {PARTS[part]}" for part, count in event["trainable"].items())
    words = [f"Training {parts}; all else stays as it is."]
    if tally := event["teacher_features"]:
        images = tally["present"] + tally["missing"]
        words.append(f"{tally['present']} of {images} images have teacher features; the others count for none.")
    if event["done"]:
        words.append(f"Going on after step {event['done']} of {event['steps']}.")
    return " ".join(words)
