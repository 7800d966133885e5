"""DermEval trained on simulated physicians of known severity and noise: supervised only, and with REINFORCE after it.

`make bench-dermeval` is a short version (one seed, a few minutes); `ARGS=--full` the recorded one, three seeds. Every
base, adapter and score is kept in `--work`, so that a run that was ended goes on; `--seed N` does one seed only. Each
seed has its own training and its own unseen drawings. Skill is 1 − MSE / MSE of the training mean. Readings as users
choose them: *fitted*, the primary one (docs/dermeval.md), its lines fitted on drawings held out from training;
*greedy*, the number as written; *expected*, its mean by the model's probabilities.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.dermeval_data import UNSEEN_SEED, rated_set
from bench.dermeval_figures import Scored, constants, figures
from bench.reporting import conditions, finish, in_words, note, table
from modelhub.ml.dermeval_data import RatedNarrative
from modelhub.ml.dermeval_format import READINGS, SHORT_PROMPT
from modelhub.ml.dermeval_lines import FittedLines
from scoring.rubric import DIMENSION_KEYS, DIMENSION_NAMES

TINY = Path(__file__).parent.parent / "modelhub" / "ml" / "weights" / "tiny"
PRIMARY = "fitted"
GOAL = 4  # dimensions of six whose skill's interval lies above 0


@dataclass(frozen=True)
class Plan:
    """Training drawings (those held out for the lines among them) and unseen ones, each with `each` narratives."""

    training: int
    unseen: int
    each: int
    seeds: tuple[int, ...]
    settings: Mapping[str, Any]


SETTINGS: dict[str, Any] = {
    "prompt": SHORT_PROMPT,
    "rank": 32,
    "alpha": 64,
    "batch": 8,
    "max_new_tokens": 120,
    "temperature": 0.5,
    "checkpoint_every_steps": 25,
}
SHORT = Plan(140, 30, 4, (1,), SETTINGS | {"sft_steps": 120, "sft_lr": 4e-3, "rl_steps": 4, "rl_lr": 3e-4})
FULL = Plan(300, 40, 4, (21, 22, 23), SETTINGS | {"sft_steps": 2400, "sft_lr": 4e-3, "rl_steps": 16, "rl_lr": 1e-4})


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    plan = FULL if options.full else SHORT
    import torch

    torch.set_num_threads(options.threads)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        seeds = plan.seeds if options.seed is None else (options.seed,)
        found = {str(seed): run_seed(plan, seed, work) for seed in seeds}
    about = conditions("torch", "transformers", "peft") | {"minutes": round((time.monotonic() - began) / 60, 1)}
    print(f"\n{in_words(about)}\n")
    for seed, stages in found.items():
        print(f"Seed {seed}\n\n{show(stages)}\n")
    counted = skilful(found)
    finish({"full": options.full, "minutes": about["minutes"], "seeds": found, "skilful": counted, "met": met(counted)})
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m bench.dermeval", description=__doc__)
    made.add_argument("--full", action="store_true", help="three seeds, longer")
    made.add_argument("--seed", type=int, help="this seed only")
    made.add_argument("--work", type=Path, help="folder for drawings, adapters and scores, to go on from")
    made.add_argument("--threads", type=int, default=1, help="CPU threads (default 1, as it was recorded)")
    return made


def run_seed(plan: Plan, seed: int, work: Path) -> dict[str, Any]:
    """By stage and reading the figures of each dimension."""
    from modelhub.ml.dermeval_settings import DermEvalSettings
    from modelhub.ml.dermeval_train import train_dermeval
    from modelhub.ml.tiny_evaluator import make_evaluator_base

    base, data = work / "evaluator-base", work / f"rated-{seed}-{plan.training}"
    if not base.is_dir():
        make_evaluator_base(TINY, base, log=note)
    training = rated_set(data, cases=plan.training, each=plan.each, seed=seed)
    unseen = rated_set(
        work / f"unseen-{seed}-{plan.unseen}", cases=plan.unseen, each=plan.each, seed=UNSEEN_SEED + seed
    )
    if {one.case for one in training} & {one.case for one in unseen}:
        raise RuntimeError("a case stands on both sides")
    settings = DermEvalSettings.from_dict({**plan.settings, "seed": seed})
    out = work / f"trained-{seed}-{settings.sft_steps}-{settings.rl_steps}"
    result = train_dermeval(base=base, data=data, out=out, settings=settings, on_event=tell)
    stages = {}
    for stage, adapter in result.adapters.items():
        lines = result.lines[stage]
        found = score(base, adapter, unseen, settings.max_new_tokens)
        stages[stage] = {
            **compare(found, lines, training, unseen),
            "lines": lines.to_dict(),
            "last_step": result.metrics[stage],
        }
    return stages


def tell(event: Mapping[str, Any]) -> None:
    if event["kind"] == "step" and event["step"] % max(1, event["steps"] // 10) == 0:
        more = f", reward {event['reward']:.2f}, read {event['parse_rate']:.0%}" if "reward" in event else ""
        note(f"{event['stage']} {event['step']}/{event['steps']} loss {event['loss']:.3f}{more}, {event['seconds']} s")


def score(base: Path, adapter: Path, rated: Sequence[RatedNarrative], longest: int) -> dict[str, dict[str, Any]]:
    """By version the greedy and the expected numbers and the text; kept beside the adapter."""
    from modelhub.ml.backends.base import Failure, GenerationSettings
    from modelhub.ml.dermeval_score import score_narratives
    from modelhub.ml.dermeval_stages import request_of
    from modelhub.ml.loading import LoadSpec, load

    path = adapter.parent / "scores-unseen.json"
    if not path.exists():
        requests = [request_of(one, SHORT_PROMPT) for one in rated]
        greedy = GenerationSettings(do_sample=False, max_new_tokens=longest, batch_size=32)
        scores: dict[str, dict[str, Any]] = {}
        for one in score_narratives(load(LoadSpec(base, adapter)), requests, greedy):
            if isinstance(one, Failure):
                raise RuntimeError(f"{one.id}: {one.sentence}")
            scores[one.id] = {"greedy": dict(one.critique.scores), "expected": one.expected, "text": one.text}
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(scores), encoding="utf-8")
        draft.replace(path)
    stored: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return stored


def compare(
    scores: Mapping[str, Mapping[str, Any]],
    lines: FittedLines,
    training: Sequence[RatedNarrative],
    unseen: Sequence[RatedNarrative],
) -> dict[str, Any]:
    constant = constants(training)
    read = {
        "fitted": lambda found: lines.read(found["expected"]),
        "expected": lambda found: found["expected"],
        "greedy": lambda found: found["greedy"],
    }
    return {
        reading: figures(
            [Scored(one.case, one.mean_scores(), read[reading](scores[one.version])) for one in unseen], constant
        )
        for reading in READINGS
    }


def show(stages: Mapping[str, Any]) -> str:
    rows = []
    for key in DIMENSION_KEYS:
        for stage, readings in stages.items():
            for reading in READINGS:
                f = readings[reading][key]
                skill = f"{f['skill']:.2f} ({f['low']:.2f} to {f['high']:.2f})"
                rows.append(
                    [
                        DIMENSION_NAMES[key],
                        stage,
                        reading,
                        f["expected"],
                        round(f["read"], 3),
                        f["mae"],
                        f["constant_mae"],
                        skill,
                        f["spearman"],
                    ]
                )
    heads = ["dimension", "stage", "reading", "n", "read", "MAE", "constant's", "skill (95 %)", "rank corr."]
    return table(heads, rows)


def skilful(found: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """By seed, stage and reading: of how many of the six dimensions the skill's interval lies above 0."""
    return {
        seed: {
            f"{stage}, {reading}": sum(f["low"] > 0 for f in readings[reading].values())
            for stage, readings in stages.items()
            for reading in READINGS
        }
        for seed, stages in found.items()
    }


def met(counted: Mapping[str, Mapping[str, int]]) -> dict[str, bool]:
    """By stage: in every seed the primary reading is skilful on as many dimensions as the goal asks."""
    stages = sorted({name.split(", ")[0] for by_reading in counted.values() for name in by_reading})
    return {stage: all(one[f"{stage}, {PRIMARY}"] >= GOAL for one in counted.values()) for stage in stages}


if __name__ == "__main__":
    sys.exit(main())
