"""`python -m modelhub.ml`: generate, train, dermeval-train, parity and make-tiny from a shell, without Django."""

import argparse
import sys
from collections.abc import Sequence

from modelhub.ml.dermeval_command import add_dermeval
from modelhub.ml.generate_command import add_generate
from modelhub.ml.parity_command import add_parity
from modelhub.ml.teacher_command import add_teacher_commands
from modelhub.ml.train_command import add_train
from modelhub.ml.weight_commands import add_weight_commands

DESCRIPTION = "SkinGPT-R1: write narratives, fine-tune, compare with the reference, build the synthetic demo model."


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m modelhub.ml", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_generate(commands)
    add_train(commands)
    add_dermeval(commands)
    add_teacher_commands(commands)
    add_weight_commands(commands)
    add_parity(commands)
    commands.add_parser("make-tiny", add_help=False, help="train the tiny synthetic demo model from scratch")
    return parser


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
