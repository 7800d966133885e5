"""How long the leaderboard page takes from stored results: 14 models, every two of them, through all of Django.

Started in a process of its own with a scratch database (argument: how often); prints JSON.
"""

import json
import statistics
import sys
import time
from typing import Any

import django
import numpy as np


def main(times: int) -> None:
    django.setup()
    from django.test import Client

    began = time.perf_counter()
    user, stored = stored_leaderboard()
    computed = time.perf_counter() - began
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    taken = []
    for number in range(times + 2):
        began = time.perf_counter()
        response = client.get("/hub/leaderboard/", {"of": "safety" if number % 2 else "overall"})
        taken.append(1000 * (time.perf_counter() - began))
        if response.status_code != 200 or b"Holm" not in response.content:
            raise RuntimeError(f"the page answered {response.status_code}")
    measured = sorted(taken[2:])  # the first two compile the templates
    result = {"page_p50_ms": statistics.median(measured), "page_max_ms": measured[-1], "page_first_ms": taken[0]}
    print(
        json.dumps(
            result | {"stored_kb": stored / 1000, "page_kb": len(response.content) / 1000, "all_series_s": computed}
        )
    )


def stored_leaderboard() -> tuple[Any, int]:
    """A leaderboard computed by the product's own code; the user who reads it, the bytes of its JSON."""
    from django.contrib.auth.models import Group
    from django.utils import timezone

    from annotator.accounts.models import User
    from modelhub.models import BenchmarkRun, Leaderboard, ModelVersion, Run
    from modelhub.services.benchmark_results import table_results
    from modelhub.services.evaluations import evaluator_summary, evaluator_version
    from modelhub.services.generation import prompt_version
    from modelhub.services.leaderboard_figures import provenance, slope
    from modelhub.services.score_tables import SERIES, ScoreTable, Source, Tally
    from scoring.models import DatasetVersion
    from scoring.services.studies import create_study

    user = User.objects.create_user("bench", password="only-on-scratch-data")
    user.groups.set(Group.objects.filter(name="administrator"))
    texts: dict[str, Any] = dict.fromkeys(
        ("title", "question", "inclusion", "exclusion_rules", "planned_analysis", "ethics"), "Bench."
    )
    study = create_study(actor=user, overlap=2, **texts)
    dataset = DatasetVersion.objects.create(
        kind="dermbench", number=1, study=study, content_hash="0" * 64, item_count=3000, created_by=user
    )
    evaluator, prompt = evaluator_version("synthetic_truth"), prompt_version(text="Describe.")
    run = Run.objects.create(kind=Run.Kind.BENCHMARK, title="Bench")
    benchmark = BenchmarkRun.objects.create(run=run, dataset=dataset, prompt=prompt, evaluator=evaluator)
    models = [
        ModelVersion.objects.create(name=f"Model {n} with a longer name", kind="base", weights_hash=f"{n:064x}")
        for n in range(14)
    ]
    rng = np.random.default_rng(5)
    values = {name: made_scores(rng, 14, 3000) for name in SERIES}
    values["diagnosis"] = (values["diagnosis"] > 3.5).astype(float)
    table = ScoreTable(
        tuple(Source(model, benchmark) for model in models),
        (Tally(3000, 3000, 0),) * 14,
        np.arange(3000),
        values,
        rng.integers(100, 600, (14, 3000)).astype(float),
        (),
    )
    machine = table_results(table)
    for model, part in zip(models, machine["models"], strict=True):
        part |= provenance(model, benchmark) | {"words": 300.0, "flags": []}
    machine["length"] = {"pooled": slope(table, False), "own": slope(table, True)}
    machine["hashes"] = dict.fromkeys(("dataset", "evaluator", "rubric", "prompt"), "0" * 64)
    machine["evaluator"] = evaluator_summary(evaluator)
    Leaderboard.objects.create(
        dataset=dataset, evaluator=evaluator, prompt=prompt, machine=machine, computed_at=timezone.now()
    )
    return user, len(json.dumps(machine))


def made_scores(rng: np.random.Generator, models: int, cases: int) -> np.ndarray:
    """Scores 0 to 5 of models that differ a little over cases that differ more."""
    levels = 3.2 + 0.03 * np.arange(models)[:, None]
    return np.clip(np.round(levels + rng.normal(0, 0.8, cases) + rng.normal(0, 0.6, (models, cases))), 0, 5)


if __name__ == "__main__":
    main(int(sys.argv[1]))
