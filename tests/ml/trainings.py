"""Short trainings, and what they wrote down."""

import json
from pathlib import Path
from typing import Any

from modelhub.ml.train_settings import TrainSettings

SIZES = {"embed": 24, "experts": 4, "expert_width": 8, "layers": 2, "rank": 6, "teacher_width": 10}


def quick(**changes: object) -> TrainSettings:
    values = {"epochs": 3, "lr": 1e-2, "rank": 4, "alpha": 8, "batch": 4, "grad_accumulation": 1, "branch_sizes": SIZES}
    return TrainSettings.from_dict(values | changes)


def events(out: Path, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
    return [event for event in lines if event["kind"] == kind]


def losses(out: Path, term: str = "answer") -> list[float]:
    return [event["losses"][term] for event in events(out, "step")]
