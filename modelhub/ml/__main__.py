"""`python -m modelhub.ml`: generate, train, parity and make-tiny from a shell, without Django."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelhub.ml.parity_command import add_parity
from modelhub.ml.teacher_command import add_teacher_commands
from modelhub.ml.train_command import add_train

DESCRIPTION = "SkinGPT-R1: write narratives, fine-tune, compare with the reference, build the synthetic demo model."


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m modelhub.ml", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_generate(commands)
    add_train(commands)
    add_teacher_commands(commands)
    add_parity(commands)
    commands.add_parser("make-tiny", add_help=False, help="train the tiny synthetic demo model from scratch")
    return parser


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--precision", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1 …")
    parser.add_argument("--threads", type=int, help="CPU threads for torch (default: its own choice)")


def add_generate(commands: Any) -> None:
    parser = commands.add_parser(
        "generate",
        help="write a narrative for each image or request",
        description="Write narratives. Give images with --prompt, or --requests with a line of JSON per request: "
        '{"id": "case-1", "images": ["a.jpg"], "prompt": "Describe."} (image paths relative to that file). '
        "With --out, finished requests are kept and skipped when the command is run again.",
    )
    parser.add_argument("images", nargs="*", type=Path, help="image files; the file name becomes the id")
    parser.add_argument("--model", type=Path, required=True, help="checkpoint folder (safetensors)")
    parser.add_argument("--adapter", type=Path, help="adapter folder that `train` wrote")
    parser.add_argument("--bias-mode", choices=("off", "first_token", "all_steps"), help="default: the branch's own")
    parser.add_argument("--prompt", default="Describe the skin lesion, reason step by step, then give a diagnosis.")
    parser.add_argument("--requests", type=Path, help="JSON lines of id, images, prompt")
    parser.add_argument("--out", type=Path, help="JSON lines file to append to (default: print)")
    parser.add_argument("--greedy", action="store_true", help="always the most probable token, no sampling")
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--top-p", type=float, default=0.9)
    parser.add_argument("--repetition-penalty", type=float, default=1.0)
    parser.add_argument("--max-new-tokens", type=int, default=4096)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", action="store_true", help="print one line of JSON per narrative")
    add_model_arguments(parser)
    parser.set_defaults(run=run_generate)


def run_generate(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from tqdm import tqdm

    from modelhub.ml.generate import GenerationSettings, generate
    from modelhub.ml.loading import LoadSpec, load

    requests = read_requests(arguments)
    done = keep_finished(arguments.out) if arguments.out and arguments.out.exists() else set()
    settings = GenerationSettings(
        do_sample=not arguments.greedy,
        temperature=arguments.temperature,
        top_p=arguments.top_p,
        repetition_penalty=arguments.repetition_penalty,
        max_new_tokens=arguments.max_new_tokens,
        seed=arguments.seed,
        batch_size=arguments.batch_size,
    )
    loaded = load(
        LoadSpec(
            arguments.model,
            arguments.adapter,
            precision=arguments.precision,
            device=arguments.device,
            bias_mode=arguments.bias_mode,
        )
    )
    for note in loaded.identity.notes:
        print(note, file=sys.stderr)
    waiting = [request for request in requests if request.id not in done]
    about = {"settings": asdict(settings), "model": asdict(loaded.identity)}
    for output in tqdm(generate(loaded, waiting, settings), total=len(waiting), unit="narrative", disable=None):
        line = json.dumps(asdict(output) | about, ensure_ascii=False)
        if arguments.out:
            with arguments.out.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")
        if arguments.json:
            print(line)
        elif not arguments.out:
            print(f"--- {output.id}{' (truncated)' if output.truncated else ''}\n{output.text}\n")
    return 0


def keep_finished(out: Path) -> set[str]:
    """Ids already written; a last line that a kill cut short is dropped from the file."""
    text = out.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        draft = out.with_name(f".{out.name}.draft")
        draft.write_text(whole, encoding="utf-8")
        draft.replace(out)
    return {json.loads(line)["id"] for line in whole.splitlines()}


def read_requests(arguments: argparse.Namespace) -> list[Any]:
    from modelhub.ml.generate import Request

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


def main(argv: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    if given[:1] == ["make-tiny"]:
        from modelhub.ml.tiny import main as make_tiny

        return make_tiny(given[1:]) or 0
    arguments = build_parser().parse_args(given)
    try:
        if getattr(arguments, "threads", None):
            import torch

            torch.set_num_threads(arguments.threads)
        return int(arguments.run(arguments))
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
