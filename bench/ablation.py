"""What certified narratives and visual distillation each add: the tiny model, fine-tuned each way, on unseen drawings.

`make bench-ablation` is a short version; with `ARGS=--full` it makes the recorded one (three seeds, 300 held-out
drawings) and writes it to `modelhub/ml/weights/tiny/ablation.json`, which the hub's page shows, and to
`docs/ablation.md`. Every narrative and adapter is kept in `--work`, so that a run that was ended goes on.
"""

import argparse
import hashlib
import inspect
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ablation_data import HELD_OUT_SEED, TONES, DrawnCase, draw_cases, make_cases, write_training_set
from bench.ablation_table import Values, by_tone, markdown, merge, per_seed, score_texts, words
from bench.reporting import conditions, finish, in_words, note

ROOT = Path(__file__).parent.parent
WEIGHTS = ROOT / "modelhub" / "ml" / "weights"
BASE, TEACHER = WEIGHTS / "tiny", WEIGHTS / "tiny-teacher"
RECORD, PAGE = BASE / "ablation.json", ROOT / "docs" / "ablation.md"
# what the hub's form offers for a model of drawn lesions
SETTINGS: dict[str, Any] = {"epochs": 10, "lr": 1e-3, "rank": 16, "alpha": 32, "batch": 8, "grad_accumulation": 1}
GENERATION: dict[str, Any] = {"do_sample": False, "max_new_tokens": 256, "batch_size": 32}


@dataclass(frozen=True)
class Arm:
    """A way to fine-tune; `recipe` None leaves the model as it is. `teacher` False: the distillation term weighs 0."""

    key: str
    name: str
    recipe: str | None
    teacher: bool = True


ARMS = (
    Arm("base", "base", None),
    Arm("lora", "+ certified narratives (LoRA)", "lora"),
    Arm("dual_distillation", "+ visual distillation (side branch)", "dual_distillation"),
    Arm("both", "+ both", "both"),
    Arm("both_no_teacher", "+ both, without the teacher", "both", teacher=False),
)


@dataclass(frozen=True)
class Plan:
    training: int
    held_out: int
    seeds: tuple[int, ...]
    settings: Mapping[str, Any]


SHORT = Plan(training=36, held_out=36, seeds=(1,), settings=SETTINGS | {"epochs": 3})
FULL = Plan(training=120, held_out=300, seeds=(1, 2, 3), settings=SETTINGS)


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    plan = FULL if options.full else SHORT
    with tempfile.TemporaryDirectory() as scratch:
        record = run(plan, options.work or Path(scratch), options.threads)
    print(f"\n{in_words(record)}\n\n{markdown(record['results'])}\n")
    if options.full:
        write_record(record)
        note(f"written: {RECORD.relative_to(ROOT)}, {PAGE.relative_to(ROOT)}")
    finish({"full": options.full, **summary(record)})
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m bench.ablation", description=__doc__)
    made.add_argument("--full", action="store_true", help="three seeds on 300 drawings; writes the record and the page")
    made.add_argument("--work", type=Path, help="folder for drawings, adapters and narratives, to go on from")
    made.add_argument("--threads", type=int, default=1, help="CPU threads (default 1, as it was recorded)")
    return made


def run(plan: Plan, work: Path, threads: int) -> dict[str, Any]:
    """Everything that the record holds."""
    import torch

    torch.set_num_threads(threads)
    began = time.monotonic()
    held_out = make_cases(plan.held_out, HELD_OUT_SEED)
    images = draw_cases(held_out, work / "held-out")
    parts: dict[str, list[Values]] = {arm.key: [] for arm in ARMS}
    for seed in plan.seeds:
        data = work / f"training-{seed}"
        write_training_set(make_cases(plan.training, HELD_OUT_SEED + seed), data)
        add_teacher_features(data, work)
        for arm in ARMS:
            texts = narratives(arm, seed, plan, data, held_out, images, work)
            parts[arm.key].append(score_texts(held_out, texts, seed))
            right = parts[arm.key][-1]["diagnosis"]
            note(f"seed {seed}, {arm.name}: {sum(right.values()) / len(right):.0%} right diagnoses")
    arms = {key: merge(values) for key, values in parts.items()}
    names = {arm.key: arm.name for arm in ARMS}
    return describe(plan) | {
        "results": by_tone(arms, names, held_out, also=[("both_no_teacher", "both")]),
        "per_seed": per_seed(arms),
        "minutes": round((time.monotonic() - began) / 60, 1),
    }


def add_teacher_features(data: Path, work: Path) -> None:
    from modelhub.ml.teacher_encoder import load_encoder
    from modelhub.ml.teacher_features import make_teacher_features

    report = make_teacher_features(data, load_encoder(TEACHER), store=work / "teacher")
    if report.missing:
        raise RuntimeError(f"images without teacher features: {', '.join(report.missing)}")


def narratives(
    arm: Arm,
    seed: int,
    plan: Plan,
    data: Path,
    held_out: Sequence[DrawnCase],
    images: Sequence[Path],
    work: Path,
) -> dict[str, str]:
    """The arm's text for every held-out case, written now or by an earlier run in `work`."""
    name = "base" if arm.recipe is None else f"{arm.key}-{seed}"
    path = work / f"{name}-{len(held_out)}.json"
    if not path.exists():
        adapter = None if arm.recipe is None else train_arm(arm, seed, plan, data, work / name)
        texts = write_narratives(adapter, held_out, images)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(texts), encoding="utf-8")
        draft.replace(path)
    stored: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return stored


def train_arm(arm: Arm, seed: int, plan: Plan, data: Path, out: Path) -> Path:
    from modelhub.ml.train import train
    from modelhub.ml.train_settings import TrainSettings

    raw = {**plan.settings, "recipe": arm.recipe, "seed": seed}
    if not arm.teacher:
        raw["weights"] = {"distill": 0.0}
    note(f"seed {seed}: training {arm.name} …")
    return train(base=BASE, data=data, out=out, settings=TrainSettings.from_dict(raw)).adapter


def write_narratives(adapter: Path | None, cases: Sequence[DrawnCase], images: Sequence[Path]) -> dict[str, str]:
    from modelhub.ml.backends.base import Failure, GenerationSettings, Request
    from modelhub.ml.generate import generate
    from modelhub.ml.loading import LoadSpec, load
    from modelhub.ml.synthetic.wording import PROMPT

    requests = [Request(case.key, (image,), PROMPT) for case, image in zip(cases, images, strict=True)]
    texts: dict[str, str] = {}
    for output in generate(load(LoadSpec(BASE, adapter)), requests, GenerationSettings(**GENERATION)):
        if isinstance(output, Failure):
            raise RuntimeError(f"{output.id}: {output.sentence}")
        texts[output.id] = output.text
    return texts


def describe(plan: Plan) -> dict[str, Any]:
    """What was compared, with hashes of everything that decides the figures."""
    from modelhub.ml.checkpoint_files import hash_weights
    from modelhub.ml.synthetic import drawing, lesion, terms, truth, wording

    code = "".join(inspect.getsource(module) for module in (drawing, lesion, terms, truth, wording))
    return conditions("torch", "transformers", "peft", "pillow", "numpy") | {
        "command": "make bench-ablation ARGS=--full",
        "base_sha256": hash_weights(BASE),
        "teacher_sha256": hash_weights(TEACHER),
        "synthetic_code_sha256": hashlib.sha256(code.encode()).hexdigest(),
        "training_cases": plan.training,
        "held_out_cases": plan.held_out,
        "skin_tones": list(TONES),
        "seeds": list(plan.seeds),
        "held_out_seed": HELD_OUT_SEED,
        "settings": dict(plan.settings),
        "generation": GENERATION,
        "arms": [{"key": arm.key, "name": arm.name, "recipe": arm.recipe} for arm in ARMS],
    }


def summary(record: Mapping[str, Any]) -> dict[str, Any]:
    """The last line: by arm the share of right diagnoses and the mean of six, and what each gains on the base."""
    found = record["results"]["all"]
    pairs = {(pair["left"], pair["right"]): pair for pair in found["pairs"]}
    arms: dict[str, Any] = {}
    for model in found["models"]:
        gain = pairs.get((ARMS[0].key, model["model"]))
        arms[model["model"]] = {"diagnosis": model["diagnosis"], "overall": model["overall"]}
        if gain is not None:
            arms[model["model"]] |= {"diagnosis_gain": gain["diagnosis"], "overall_gain": gain["overall"]}
    alone = pairs["both_no_teacher", "both"]
    arms["teacher_alone"] = {"diagnosis_gain": alone["diagnosis"], "overall_gain": alone["overall"]}
    return arms | {"held_out": record["held_out_cases"], "seeds": record["seeds"], "minutes": record["minutes"]}


def write_record(record: Mapping[str, Any]) -> None:
    RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(document(record), encoding="utf-8")


def document(record: Mapping[str, Any]) -> str:
    """`docs/ablation.md`."""
    settings = ", ".join(f"{name} {value}" for name, value in record["settings"].items())
    seeds = ", ".join(map(str, record["seeds"]))
    return DOCUMENT.format(
        made=in_words(record),
        findings=findings(record),
        table=markdown(record["results"]),
        seeds_table=seed_table(record),
        settings=settings,
        seed_list=seeds,
        each=record["held_out_cases"] // len(record["skin_tones"]),
        **{key: record[key] for key in ("command", "minutes", "training_cases", "held_out_cases")},
        **{key: record[key][:12] for key in ("base_sha256", "teacher_sha256", "synthetic_code_sha256")},
    )


def findings(record: Mapping[str, Any]) -> str:
    """A line per comparison over all drawings: the difference in right diagnoses and whether it can be told from 0."""
    names = {arm["key"]: arm["name"] for arm in record["arms"]}
    lines = []
    for pair in record["results"]["all"]["pairs"]:
        found = pair["diagnosis"]
        clear = found["low"] is not None and (found["low"] > 0 or found["high"] < 0)
        verdict = "" if clear else ": not to be told from no difference"
        lines.append(
            f"- {names[pair['right']]}, against {names[pair['left']]}: {words(found, 100, signed=True)}{verdict}"
        )
    return "\n".join(lines)


def seed_table(record: Mapping[str, Any]) -> str:
    from bench.reporting import table

    names = {arm["key"]: arm["name"] for arm in record["arms"]}
    rows = [
        [names[arm], *(f"{100 * means['diagnosis']:.1f} / {means['overall']:.2f}" for means in seeds.values())]
        for arm, seeds in record["per_seed"].items()
    ]
    return table(["arm", *(f"seed {seed}" for seed in record["seeds"])], rows)


DOCUMENT = """# What certified narratives and visual distillation add

Written by `{command}`; the hub's page *Ablation* shows the same record. **Synthetic: drawn lesions of an invented toy
world, not medicine.** It shows that the machinery learns, not how well a clinical model would.

The demo's tiny model was fine-tuned on {training_cases} drawings with exact narratives (as a dermatologist who
certifies would leave them), with each recipe, and wrote about {held_out_cases} other drawings, {each} of each skin
tone. The exact evaluator of drawn lesions scored the narratives (0 to 5; what cannot be judged is left out of its
column). The base had seen almost no dark skin and was never told of it, so dark skin is where there is most to learn.
Teacher features come from the tiny teacher, an image encoder trained on drawings of its own. *Without the teacher* is
the control: the same branch and narratives with the distillation term switched off, so the difference between it and
*both* is what the teacher itself adds.

Means with 95 % intervals: Student's t over drawings, the seeds' values of one drawing counting as one cluster.
Differences are paired by drawing and seed.

In short, right diagnoses in percentage points:

{findings}

{table}

How far seeds differ (right diagnoses in per cent / mean of six):

{seeds_table}

{made}; {minutes} minutes. Seeds {seed_list} (each with training drawings of its own). Settings: {settings}; greedy
generation. SHA-256: base {base_sha256}…, teacher {teacher_sha256}…, drawings and rules {synthetic_code_sha256}….
"""


if __name__ == "__main__":
    sys.exit(main())
