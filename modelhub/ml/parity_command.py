"""The command `parity`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

BROKEN = 2
LOSSES = ("loss_sft", "loss_distill", "loss_aux", "loss_skin", "total")


def add_parity(commands: Any) -> None:
    parser = commands.add_parser(
        "parity",
        help="compare with golden numbers of the public reference",
        description="Run every golden case of a folder and print the largest absolute difference of its outputs and "
        "loss terms, and the largest relative difference of its gradients. Ends with 0 where all outputs and losses "
        "are within 1e-5 and gradients within 1e-4, with 1 where one is not, with 2 where a case is broken.",
    )
    parser.add_argument("folder", type=Path, help="folder of golden files (index.json, case*.json, *.safetensors)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run_parity)


def run_parity(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from modelhub.ml.parity import GoldenError, run_folder

    try:
        reports = run_folder(arguments.folder)
    except GoldenError as error:
        print(f"error: {error}", file=sys.stderr)
        return BROKEN
    if arguments.json:
        print(json.dumps([asdict(report) | {"passed": report.passed} for report in reports], indent=1))
    else:
        width = max(len("case"), *(len(report.case) for report in reports)) + 2
        heads = ("outputs", *LOSSES, "gradients")
        print("case".ljust(width) + "".join(head.rjust(14) for head in heads))
        for report in reports:
            values = [max(report.outputs.values()), *(report.losses[name] for name in LOSSES), report.gradient]
            cells = "".join(("–" if value is None else f"{value:.1e}").rjust(14) for value in values)
            print(report.case.ljust(width) + cells + ("" if report.passed else "  FAILED"))
    return 0 if all(report.passed for report in reports) else 1
