"""Commands about files of weights: inspect, compare-weights, export."""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelhub.ml.hub_files import HubModel, fetch, parse_source

SHARD_GB = 5.0


def add_weight_commands(commands: Any) -> None:
    inspect = commands.add_parser(
        "inspect",
        help="say what a checkpoint is, or what is wrong with it",
        description="Open MODEL as loading would (every tensor accounted for, every number looked at, hashes held "
        "against a manifest) and print its card, without loading it.",
    )
    inspect.add_argument("model", type=parse_source, help="checkpoint folder, or organisation/model[@revision]")
    inspect.add_argument("--manifest", type=Path, help="file of SHA-256 lines (default: SHA256SUMS beside the weights)")
    inspect.add_argument("--adapter", type=Path, help="adapter folder to hold against it")
    inspect.set_defaults(run=run_inspect)
    compare = commands.add_parser(
        "compare-weights",
        help="which tensors of two checkpoints differ",
        description="Compare two checkpoints tensor by tensor (SHA-256 over dtype, shape and bytes), whatever their "
        "key style and shards; nothing is loaded. Each is a folder or organisation/model[@revision]. Ends with 0 where "
        "the backbones are equal, with 1 where they are not; the side branch is compared too and has no say in that.",
    )
    compare.add_argument("left", type=parse_source, metavar="A")
    compare.add_argument("right", type=parse_source, metavar="B")
    compare.add_argument("--json", action="store_true", help="print JSON, with the hashes of what differs")
    compare.set_defaults(run=run_compare)
    export = commands.add_parser(
        "export",
        help="write a checkpoint in the released layout, adapter folded in",
        description="Write MODEL as the reference releases it: bfloat16, its names of tensors and of the architecture, "
        "shards with an index, tokenizer and processor, and a manifest of SHA-256 sums. With --adapter its LoRA is "
        "folded into the weights and its side branch takes the place of the model's own.",
    )
    export.add_argument("model", type=Path, help="checkpoint folder")
    export.add_argument("out", type=Path, help="folder to make")
    export.add_argument("--adapter", type=Path, help="adapter folder that `train` wrote")
    export.add_argument("--shard-gb", type=float, default=SHARD_GB, help="size of a shard at most (default: 5)")
    export.add_argument("--json", action="store_true", help="print the result as JSON")
    export.set_defaults(run=run_export)


def local(source: Path | HubModel) -> Path:
    return fetch(source)[0] if isinstance(source, HubModel) else source


def run_inspect(arguments: argparse.Namespace) -> int:
    from modelhub.ml.card import describe_adapter, describe_checkpoint

    folder = local(arguments.model)
    with bar_of(folder) as show:
        described = describe_checkpoint(folder, manifest=arguments.manifest, on_bytes=show)
    found: dict[str, Any] = {"model": described.card}
    if arguments.adapter:
        found["adapter"] = describe_adapter(arguments.adapter, folder)
        if found["adapter"]["base_sha256"] != described.sha256:
            raise ValueError(f"{arguments.adapter} was trained on a base with other weights")
    print(json.dumps(found, indent=1))
    return 0


def run_compare(arguments: argparse.Namespace) -> int:
    from modelhub.ml.compare_weights import compare, hash_checkpoint

    hashes = []
    for folder in (local(arguments.left), local(arguments.right)):
        with bar_of(folder) as show:
            hashes.append(hash_checkpoint(folder, show))
    found = compare(*hashes)
    if arguments.json:
        print(json.dumps(asdict(found) | {"backbone_equal": found.backbone_equal}, indent=1))
        return 0 if found.backbone_equal else 1
    for part, differences in (("backbone", found.backbone), ("side branch", found.branch)):
        for difference in differences:
            print(f"{part:<12}{difference.what:<9}{difference.name}")
    verdict = "equal" if found.backbone_equal else f"different in {len(found.backbone)} tensors"
    print(f"{found.equal} tensors are equal; the backbones are {verdict}.")
    return 0 if found.backbone_equal else 1


def run_export(arguments: argparse.Namespace) -> int:
    from modelhub.ml.export_checkpoint import export

    made = export(arguments.model, arguments.out, arguments.adapter, shard_bytes=int(arguments.shard_gb * 1e9))
    if arguments.json:
        print(json.dumps(asdict(made) | {"folder": str(made.folder)}, indent=1))
    else:
        print(f"{made.folder}: {made.tensors} tensors, LoRA folded into {made.merged} of them")
    return 0


@contextmanager
def bar_of(folder: Path) -> Iterator[Callable[[int], None]]:
    """A progress bar over a folder's weights, which is told the bytes read so far."""
    from tqdm import tqdm

    total = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    with tqdm(total=total, unit="B", unit_scale=True, desc=folder.name, disable=None) as bar:

        def show(done: int) -> None:
            bar.update(done - bar.n)

        yield show
