"""Manifests that do not fit."""

import random
from collections.abc import Callable
from pathlib import Path

from tests.ml.corruptions.kinds import Patterns, a_shard, escaped, kind


def write_manifest(folder: Path, edit: Callable[[dict[str, str]], object]) -> Path:
    import hashlib

    files = [path for path in sorted((folder / "model").iterdir()) if path.is_file()]
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    edit(hashes)
    manifest = folder / "model/SHA256SUMS"
    manifest.write_text("".join(f"{digest}  {name}\n" for name, digest in hashes.items()))
    return manifest


@kind
def manifest_with_another_hash(folder: Path, rng: random.Random) -> Patterns:
    name = rng.choice([a_shard(folder, rng).name, "config.json", "tokenizer.json", "skin_branch.safetensors"])
    write_manifest(folder, lambda hashes: hashes.update({name: f"{rng.getrandbits(256):064x}"}))
    return "SHA256SUMS", f"{escaped(name)} has SHA-256 [0-9a-f]{{64}}, not"


@kind
def manifest_without_a_weight_file(folder: Path, rng: random.Random) -> Patterns:
    name = rng.choice([a_shard(folder, rng).name, "skin_branch.safetensors"])
    write_manifest(folder, lambda hashes: hashes.pop(name))
    return "SHA256SUMS", f"{escaped(name)} is not listed"


@kind
def manifest_of_an_absent_file(folder: Path, rng: random.Random) -> Patterns:
    name = f"part-{rng.randrange(99)}.safetensors"
    write_manifest(folder, lambda hashes: hashes.update({name: "0" * 64}))
    return "SHA256SUMS", f"{escaped(name)} is missing"


@kind
def manifest_with_a_line_that_is_none(folder: Path, rng: random.Random) -> Patterns:
    manifest = write_manifest(folder, lambda hashes: None)
    lines = [
        "hello",
        "0" * 63 + "  config.json",
        "0" * 64 + " ",
        f"{'0' * 64}  ../config.json",
        "config.json  " + "0" * 64,
    ]
    manifest.write_text(manifest.read_text() + rng.choice(lines) + "\n")
    return "SHA256SUMS, line", "(is not `<SHA-256>  <file name>`|not a file of this folder)"
