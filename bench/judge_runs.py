"""Evaluation runs on a scratch database, their workers killed with ``kill -9``; needs Django to be set up."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.judge_server import JudgeServer
from bench.reporting import note
from bench.servers import ROOT

GIVE_UP_S = 240.0


def seeded(texts: list[str]) -> Any:
    """A study with one narrative per text, each about a case of its own."""
    from scoring.models import Case, CaseGroup, Source
    from scoring.services.narratives import create_narrative
    from scoring.services.queue import enqueue_versions
    from scoring.services.studies import add_sheet, create_study, start_study

    study = create_study(
        actor=None,
        title="Bench",
        question="Which?",
        inclusion="All.",
        exclusion_rules="None.",
        planned_analysis="None.",
        ethics="Made texts.",
        overlap=1,
    )
    add_sheet(study=study, text="You rate made texts.", actor=None)
    study = start_study(study=study, actor=None)
    source = Source.objects.create(name="Bench", licence="CC0", basis="Made.", may_leave_site=True)
    versions = []
    for number, text in enumerate(texts):
        group = CaseGroup.objects.create(source=source, key=str(number), split="evaluation")
        case = Case.objects.create(
            source=source, group=group, source_key=str(number), diagnosis="psoriasis", diagnosis_basis="dataset_label"
        )
        versions.append(create_narrative(case=case, text=text, author_kind="machine"))
    enqueue_versions(study=study, versions=versions, actor=None)
    return study


def judge_on(server: JudgeServer, name: str, places: int) -> Any:
    from modelhub.services.endpoints import register_endpoint
    from modelhub.services.judges import register_judge

    model = register_endpoint(name=name, url=server.url, served_model=name, actor=None)
    return register_judge(
        name=name, model=model, protocol="free", schema=False, terms={"concurrency": places}, max_tokens=512, actor=None
    )


def requested(evaluator: Any, study: Any) -> Any:
    from modelhub.services.evaluating import request_evaluation

    return request_evaluation(evaluator=evaluator, pool=study, actor=None)


def table_hash(run: Any) -> str:
    """Over every narrative's text, state, parse status and six scores."""
    from modelhub.models import EvaluationEntry
    from scoring.digest import content_hash

    entries = EvaluationEntry.objects.filter(evaluation_run__run=run).select_related("version", "evaluation")
    rows = [
        [
            entry.version.sha256,
            entry.state,
            entry.evaluation.parse_status if entry.evaluation else None,
            entry.evaluation.critique if entry.evaluation else None,
            {score.dimension: score.value for score in entry.evaluation.scores.all()} if entry.evaluation else None,
        ]
        for entry in entries.prefetch_related("evaluation__scores")
    ]
    return content_hash(sorted(rows, key=lambda row: str(row[0])))


@contextmanager
def worker(run: Any) -> Iterator[subprocess.Popen[bytes]]:
    """``manage.py run_job`` on this database, in its own session."""
    command = [sys.executable, "manage.py", "run_job", str(run.pk)]
    started = subprocess.Popen(
        command,
        cwd=ROOT,
        env=dict(os.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.wait()


def run_with_kills(run: Any, server: JudgeServer, *, kills: int, expected: int) -> dict[str, Any]:
    """Kill the worker ``kills`` times, evenly over the ``expected`` calls, then let it finish."""
    from modelhub.models import JudgeReply, Run
    from modelhub.services.runs import reap, retry_run

    began, repeated, done = len(server.calls), 0, 0
    for number in range(1, kills + 2):
        stored = set(JudgeReply.objects.values_list("token", flat=True))
        before = len(server.calls)
        with worker(run) as process:
            if number <= kills:
                goal = began + expected * number // (kills + 1)
                until(lambda: len(server.calls) >= goal or process.poll() is not None)  # noqa: B023 - waited for here
                done += process.poll() is None
                process.kill()
            process.wait(timeout=GIVE_UP_S)
        repeated += sum(call in stored for call in server.calls[before:])
        run.refresh_from_db()
        note(f"  {'kill' if number <= kills else 'end'} {number}: {len(server.calls) - began} calls so far")
        if number <= kills:
            until(lambda: reap() > 0 or Run.objects.get(pk=run.pk).state != "running")
            run.refresh_from_db()
            if run.state == "failed":  # three lost workers; people would press “Try again”
                retry_run(run=run, actor=None)
    calls = server.calls[began:]
    return {
        "kills": done,
        "calls": len(calls),
        "repeated_calls": repeated,
        "in_flight_repeated": len(calls) - len(set(calls)),
        "state": run.state,
        "table": table_hash(run),
    }


def until(condition: Any) -> None:
    give_up = time.monotonic() + GIVE_UP_S
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError("it did not happen in time")
        time.sleep(0.02)


def made_texts(count: int) -> list[str]:
    """Texts that differ and read like narratives."""
    from modelhub.evaluators.canary_texts import PLAIN

    return [
        f"{PLAIN[n % len(PLAIN)].text}\nCase {hashlib.sha256(str(n).encode()).hexdigest()[:8]}." for n in range(count)
    ]


def scratch(var: Path) -> None:
    """Everything below writes into ``var`` only. Call before anything of Django is imported."""
    os.environ |= {
        "DERMCOT_VAR": str(var),
        "DATABASE_URL": f"sqlite:///{var / 'bench.sqlite3'}",
        "DJANGO_SETTINGS_MODULE": "annotator.settings",
        "RUN_LEASE_S": "3",
        "OMP_NUM_THREADS": "1",
        "LOG_LEVEL": "ERROR",
        "DEBUG": "1",
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
