"""The command `dermeval-train`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from modelhub.ml.hub_files import parse_source

PLAN_KEYS = ("base", "data", "out", "settings")


def add_dermeval(commands: Any) -> None:
    parser = commands.add_parser(
        "dermeval-train",
        help="train the evaluator DermEval from physicians' critiques",
        description="Train DermEval in two stages, supervised and by score-oriented REINFORCE, as a PLAN says: a JSON "
        'file with "base" (checkpoint folder, or organisation/model[@revision]), "data" (folder with critiques.jsonl '
        'and its images), "out" (folder for progress, checkpoints and both adapters) and "settings". Run again with '
        "the same plan to resume.",
    )
    parser.add_argument("plan", type=Path, metavar="PLAN", help="JSON file")
    parser.add_argument("--threads", type=int, help="CPU threads for torch (default: its own choice)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run_train)


def run_train(arguments: argparse.Namespace) -> int:
    from modelhub.ml.dermeval_settings import DermEvalSettings
    from modelhub.ml.dermeval_train import train_dermeval

    plan = read_plan(arguments.plan)
    settings = DermEvalSettings.from_dict(plan["settings"])
    out = Path(plan["out"])
    result = train_dermeval(
        base=parse_source(plan["base"]), data=Path(plan["data"]), out=out, settings=settings, on_event=show
    )
    if arguments.json:
        adapters = {stage: str(folder) for stage, folder in result.adapters.items()}
        print(json.dumps({"adapters": adapters, "metrics": dict(result.metrics)}))
    else:
        for stage, folder in result.adapters.items():
            print(f"{stage}: {folder}")
    return 0


def read_plan(path: Path) -> dict[str, Any]:
    """Raises ValueError where the file is no plan, naming what is missing or unknown."""
    from modelhub.ml.checkpoint_files import read_json

    plan = read_json(path)
    if wrong := sorted(set(plan) ^ set(PLAN_KEYS)):
        raise ValueError(f"{path}: a plan has exactly {', '.join(PLAN_KEYS)}; check {', '.join(wrong)}")
    if not isinstance(plan["settings"], dict) or not all(isinstance(plan[key], str) for key in PLAN_KEYS[:3]):
        raise ValueError(f"{path}: base, data and out are texts, settings an object")
    return plan


def show(event: dict[str, Any]) -> None:
    """A line on stderr every tenth of a stage."""
    if event["kind"] != "step" or event["step"] % max(1, event["steps"] // 10):
        return
    words = [f"{event['stage']} step {event['step']} of {event['steps']}", f"loss {event['loss']:.4f}"]
    if "reward" in event:
        words.append(f"reward {event['reward']:.3f}, baseline {event['baseline']:.3f}, read {event['parse_rate']:.0%}")
    print(", ".join(words), file=sys.stderr, flush=True)
