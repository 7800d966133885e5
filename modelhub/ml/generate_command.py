"""`generate` of `python -m modelhub.ml`: narratives as JSON lines, from a model in memory or on a server."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from modelhub.ml.backends.base import (
    EVALUATION,
    INTERACTIVE,
    Failure,
    GenerationSettings,
    Output,
    Request,
    open_backend,
)
from modelhub.ml.hub_files import parse_source

PROMPT = "Describe the skin lesion, reason step by step, then give a diagnosis."
PRESETS = {"evaluation": EVALUATION, "interactive": INTERACTIVE, "plain": GenerationSettings()}
DESCRIPTION = """\
Write a narrative for each image, or for each line of --requests. Every narrative is one line of JSON on standard output
(or in --out) with its text, settings, seed, model, bias mode and library versions; progress goes to standard error.
With --out, narratives that are already there are kept and not written again, so a run that was stopped goes on.

  python -m modelhub.ml generate lesion.jpg --model FOLDER
  python -m modelhub.ml generate --requests cases.jsonl --model FOLDER --adapter ADAPTER --device cuda \\
      --precision bfloat16 --batch-size 64 --out narratives.jsonl
  python -m modelhub.ml generate lesion.jpg --backend openai --url http://localhost:8000/v1 --served-model NAME
"""
EPILOG = "Exit status: 0 when every narrative was written, 1 when one was not (its line and standard error say why)."
SETTINGS: dict[str, tuple[type, str]] = {
    "temperature": (float, "spread of the sampling; lower is more cautious"),
    "top_p": (float, "share of the probability that is drawn from"),
    "repetition_penalty": (float, "above 1: words already written become less likely"),
    "no_repeat_ngram": (int, "write no sequence of so many tokens twice; 0 is no such rule"),
    "max_new_tokens": (int, "longest text; a text cut off there is marked as truncated"),
    "min_pixels": (int, "a smaller image is enlarged"),
    "max_pixels": (int, "a larger image is reduced"),
    "seed": (int, "same seed, request and settings: same text, whatever else is asked"),
    "batch_size": (int, "requests in work at once; more is faster and needs more memory"),
}


def add_generate(commands: Any) -> None:
    parser = commands.add_parser(
        "generate",
        help="write a narrative for each image or request",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to write about")
    what.add_argument("images", nargs="*", type=Path, help="image files; the file's path becomes the id")
    what.add_argument(
        "--requests",
        type=Path,
        metavar="FILE",
        help='JSON lines such as {"id": "case-1", "images": ["a.jpg"], "prompt": "Describe."}; image paths are '
        "relative to FILE, without a prompt --prompt is taken",
    )
    what.add_argument("--prompt", default=PROMPT, help="the words to ask with (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON lines file to add to (default: standard output)")
    parser.add_argument(
        "--backend",
        choices=("transformers", "openai"),
        default="transformers",
        help="a model loaded here, or one on an OpenAI-compatible server (default: transformers)",
    )
    add_local(parser.add_argument_group("a model loaded here (--backend transformers)"))
    add_server(parser.add_argument_group("a model on a server (--backend openai)"))
    how = parser.add_argument_group("how to write")
    how.add_argument(
        "--preset",
        choices=PRESETS,
        default="evaluation",
        help="the paper's settings for evaluation (default) or interactive use, or plain: the checkpoint's own pixels",
    )
    how.add_argument("--greedy", action="store_true", help="always the likeliest token, no sampling")
    for name, (kind, about) in SETTINGS.items():
        flag = "--" + name.replace("_", "-")
        how.add_argument(flag, type=kind, metavar="N", help=f"{about} (evaluation: {getattr(EVALUATION, name)})")
    parser.set_defaults(run=run_generate)


def add_local(group: Any) -> None:
    group.add_argument("--model", type=parse_source, help="checkpoint folder, or organisation/model[@revision]")
    group.add_argument("--adapter", type=Path, help="adapter folder that `train` wrote")
    group.add_argument(
        "--bias-mode",
        choices=("off", "first_token", "all_steps"),
        help="where the side branch's language bias falls (default: as the branch was trained)",
    )
    group.add_argument("--precision", choices=("float32", "bfloat16", "float16"), default="float32")
    group.add_argument("--quantisation", choices=("none", "4bit"), default="none", help="4bit needs bitsandbytes")
    group.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1 …")
    group.add_argument("--threads", type=int, help="CPU threads for torch (default: its own choice)")
    group.add_argument("--patch-cache", type=Path, metavar="FOLDER", help="keep prepared images there for later runs")


def add_server(group: Any) -> None:
    group.add_argument("--url", help="what stands before /chat/completions, such as https://api.example.org/v1")
    group.add_argument("--served-model", metavar="NAME", help="the model's name on the server")
    group.add_argument("--key-variable", default="", metavar="NAME_API_KEY", help="environment variable with the key")
    group.add_argument("--on-site", action="store_true", help="the server is yours: allow http beyond this machine")
    group.add_argument("--concurrency", type=int, default=8, help="requests under way at once (default: 8)")


def run_generate(arguments: argparse.Namespace) -> int:
    requests, settings, spec = read_requests(arguments), settings_of(arguments), spec_of(arguments)
    backend = open_backend(spec, patch_cache=arguments.patch_cache)
    try:
        identity = backend.identity()
        for note in identity["notes"]:
            print(note, file=sys.stderr)
        about = {"settings": asdict(settings), "model": identity}
        done = keep_finished(arguments.out, about) if arguments.out and arguments.out.exists() else set()
        waiting = [request for request in requests if request.id not in done]
        return write_lines(backend.generate(waiting, settings), len(waiting), about, arguments.out)
    finally:
        backend.close()


def write_lines(results: Any, total: int, about: dict[str, Any], out: Path | None) -> int:
    from tqdm import tqdm

    tokens, failed, began = 0, 0, time.monotonic()
    for result in (bar := tqdm(results, total=total, unit="narrative", disable=None)):
        line = json.dumps(line_of(result, about), ensure_ascii=False)
        if out is None:
            print(line, flush=True)
        else:
            with out.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")
        if isinstance(result, Failure):
            failed += 1
            bar.write(f"{result.id}: {result.sentence}", file=sys.stderr)
        else:
            tokens += result.tokens or 0
            bar.set_postfix_str(f"{tokens / (time.monotonic() - began):,.0f} tokens/s", refresh=False)
    print(f"{total - failed} written, {failed} failed, {tokens:,} tokens", file=sys.stderr)
    return 1 if failed else 0


def line_of(result: Output | Failure, about: dict[str, Any]) -> dict[str, Any]:
    if isinstance(result, Failure):
        return {"id": result.id, "failure": result.kind, "error": result.sentence} | about
    return asdict(result) | about


def keep_finished(out: Path, about: dict[str, Any]) -> set[str]:
    """Ids already written. Failures, and a last line that a kill cut short, leave the file.

    Raises ValueError where the file holds texts of another model or of other settings.
    """
    text = out.read_text(encoding="utf-8")
    kept, done = [], set()
    for line in text[: text.rfind("\n") + 1].splitlines(keepends=True):
        entry = json.loads(line)
        if "text" not in entry:
            continue
        if any(different(entry[part], about[part]) for part in about):
            raise ValueError(f"{out} holds texts of another model or of other settings; choose another file")
        kept.append(line)
        done.add(entry["id"])
    if "".join(kept) != text:
        draft = out.with_name(f".{out.name}.draft")
        draft.write_text("".join(kept), encoding="utf-8")
        draft.replace(out)
    return done


def different(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """But for what has no part in the texts, or only by rounding."""
    free = {"batch_size", "device", "versions", "notes"}
    plain = json.loads(json.dumps(now))
    return any(before.get(name) != value for name, value in plain.items() if name not in free)


def settings_of(arguments: argparse.Namespace) -> GenerationSettings:
    given = {name: value for name in SETTINGS if (value := getattr(arguments, name)) is not None}
    if arguments.greedy:
        given["do_sample"] = False
    return replace(PRESETS[arguments.preset], **given)


def spec_of(arguments: argparse.Namespace) -> Any:
    """Raises ValueError where the backend's own arguments are missing."""
    if arguments.backend == "openai":
        from modelhub.ml.backends.endpoint import EndpointSpec

        if not arguments.url or not arguments.served_model:
            raise ValueError("--backend openai needs --url and --served-model")
        return EndpointSpec(
            url=arguments.url,
            model=arguments.served_model,
            key_variable=arguments.key_variable,
            on_site=arguments.on_site,
            concurrency=arguments.concurrency,
        )
    from modelhub.ml.load_spec import LoadSpec

    if arguments.model is None:
        raise ValueError("--backend transformers needs --model")
    return LoadSpec(
        arguments.model,
        arguments.adapter,
        precision=arguments.precision,
        device=arguments.device,
        bias_mode=arguments.bias_mode,
        quantisation=arguments.quantisation,
    )


def read_requests(arguments: argparse.Namespace) -> Sequence[Request]:
    if bool(arguments.images) == bool(arguments.requests):
        raise ValueError("give either images or --requests")
    if arguments.images:
        return [Request(str(path), (path,), arguments.prompt) for path in arguments.images]
    folder, requests = arguments.requests.parent, []
    for number, line in enumerate(arguments.requests.read_text(encoding="utf-8").splitlines(), 1):
        try:
            raw = json.loads(line)
            images = tuple(folder / name for name in raw.get("images", []))
            requests.append(Request(str(raw["id"]), images, str(raw.get("prompt", arguments.prompt))))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ValueError(f'{arguments.requests}, line {number}: needs "id" and "images" ({error!r})') from error
    return requests
