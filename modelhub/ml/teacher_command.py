"""`make-teacher-features` and `convert-panderm` of `python -m modelhub.ml`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from modelhub.ml.hub_files import parse_source

SHOWN = 20


def add_teacher_commands(commands: Any) -> None:
    add_make_teacher_features(commands)
    parser = commands.add_parser(
        "convert-panderm",
        help="turn PanDerm's released weights into an encoder folder",
        description="Turn PanDerm's released file (panderm_ll_data6_checkpoint-499.pth or the base one) into a folder "
        "of safetensors that make-teacher-features loads. Only tensors are read from it; nothing in it is executed.",
    )
    parser.add_argument("weights", type=Path, help="the released .pth file")
    parser.add_argument("out", type=Path, help="folder for the encoder")
    parser.set_defaults(run=run_convert_panderm)


def add_make_teacher_features(commands: Any) -> None:
    parser = commands.add_parser(
        "make-teacher-features",
        help="compute the features that visual distillation learns from",
        description="Encode every image that train.jsonl names and write <image>.npy beside it. Features are kept by "
        "image content and encoder, so running the command again, on this data set or on a larger one, computes only "
        "what is new. Images that cannot be read are listed; they get no features and training leaves them out of "
        "the distillation loss.",
    )
    parser.add_argument("data", type=Path, help="folder with train.jsonl and its images")
    parser.add_argument(
        "--encoder",
        type=parse_source,
        required=True,
        help="folder of an image encoder, or organisation/model[@revision]",
    )
    parser.add_argument(
        "--pooling",
        choices=("auto", "pooler", "cls", "mean"),
        default="auto",
        help="pooler: the encoder's pooled output; cls: its class token; mean: over patches; "
        "auto: the first of these that it has (default)",
    )
    parser.add_argument("--out", type=Path, help="keep computed features in this folder, to share among data sets")
    parser.add_argument("--replace", action="store_true", help="overwrite features that something else made")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--precision", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1 …")
    parser.add_argument("--threads", type=int, help="CPU threads for torch (default: its own choice)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run_make_teacher_features)


def run_make_teacher_features(arguments: argparse.Namespace) -> int:
    """Exit status 1 where an image is without features, so that a script notices."""
    from tqdm import tqdm

    from modelhub.ml.teacher_encoder import load_encoder
    from modelhub.ml.teacher_features import FeatureReport, make_teacher_features

    encoder = load_encoder(
        arguments.encoder,
        pooling=arguments.pooling,
        precision=arguments.precision,
        device=arguments.device,
    )
    with tqdm(unit="image", disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report: FeatureReport = make_teacher_features(
            arguments.data,
            encoder,
            store=arguments.out,
            batch=arguments.batch,
            replace=arguments.replace,
            on_progress=show,
        )
    if arguments.json:
        print(json.dumps(report.as_dict(), ensure_ascii=False))
    else:
        present = report.images - len(report.missing)
        print(
            f"{present} of {report.images} images have features of width {report.width} "
            f"({encoder.pooling}): {report.computed} computed now, {report.stored} already known"
        )
    for number, reason in enumerate(report.missing.values()):
        if number == SHOWN:
            print(f"… and {len(report.missing) - SHOWN} more without features", file=sys.stderr)
            break
        print(f"no features: {reason}", file=sys.stderr)
    return 1 if report.missing else 0


def run_convert_panderm(arguments: argparse.Namespace) -> int:
    from modelhub.ml.panderm import convert

    width = convert(arguments.weights, arguments.out)
    print(f"{arguments.out}: an encoder of width {width}; use it as make-teacher-features --encoder {arguments.out}")
    return 0
