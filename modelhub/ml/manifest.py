"""SHA-256 manifests (lines as `sha256sum` writes them) and the hashes that are known by heart."""

import re
from collections.abc import Mapping
from pathlib import Path

from modelhub.ml.checkpoint_files import CheckpointError, hash_file, plain_file
from modelhub.ml.hub_files import hashes_of_the_hub

MANIFEST_FILE = "SHA256SUMS"
LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
# The four shards of the release, in order of their sizes in bytes: 4,968,243,370; 4,991,495,816; 4,932,751,040;
# 1,701,185,806.
RELEASED = (
    "c3afb87c280d388d9ff8bc0b6364406622e568afe6dbb505376b2f0a0b09710a",
    "66eaed39b71741cd2ab20a14dc14801fe3459b125effae84a569c0710dfc7eac",
    "ee813c9638ef3d2c3bcfb0c934534d25343d3c7eda8c5eee6cb158ef6c30b34b",
    "6cb24e9f0cab9db78bf9d94a79b3043420dd8e3f328b527f3d5ad7b705c1e8ce",
)


def find_manifest(folder: Path, given: Path | None = None) -> Path | None:
    """The manifest that was given, or the one beside the files: `SHA256SUMS`, or the only `*.sha256`."""
    if given is not None:
        return given
    if (folder / MANIFEST_FILE).exists():
        return folder / MANIFEST_FILE
    others = sorted(folder.glob("*.sha256"))
    if len(others) > 1:
        raise CheckpointError(f"{folder} holds several manifests ({', '.join(p.name for p in others)}): name one")
    return others[0] if others else None


def read_manifest(path: Path) -> dict[str, str]:
    """File name → SHA-256 in lower case. Raises CheckpointError naming the line that is none."""
    hashes: dict[str, str] = {}
    try:
        lines = plain_file(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is not a text file of SHA-256 lines") from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = LINE.fullmatch(line)
        if found is None:
            raise CheckpointError(f"{path}, line {number}, is not `<SHA-256>  <file name>`")
        digest, name = found[1].lower(), found[2].removeprefix("./")
        if Path(name).name != name:
            raise CheckpointError(f"{path}, line {number}, names {name}, which is not a file of this folder")
        if hashes.setdefault(name, digest) != digest:
            raise CheckpointError(f"{path}, line {number}, names {name} again with another hash")
    if not hashes:
        raise CheckpointError(f"{path} names no file")
    return hashes


def check_manifest(path: Path, folder: Path, hashes: Mapping[str, str], weights: set[str]) -> None:
    """Hold a folder's files against a manifest; `hashes` are those known already. Raises CheckpointError naming each
    file that differs, that is missing, or that holds weights and is not listed."""
    listed = read_manifest(path)
    problems = [f"{name} is not listed" for name in sorted(weights - set(listed))]
    for name in sorted(listed):
        if name not in hashes and not (folder / name).is_file():
            problems.append(f"{name} is missing")
        elif (found := hashes.get(name) or hash_file(folder / name)) != listed[name]:
            problems.append(f"{name} has SHA-256 {found}, not {listed[name]}")
    if problems:
        raise CheckpointError(f"{path} does not fit: {'; '.join(problems)}")


def check_hub(folder: Path, hashes: Mapping[str, str]) -> None:
    """The same with the hashes that the hub gave when the files were fetched."""
    given = hashes_of_the_hub(folder)
    for name in sorted(set(given) & set(hashes)):
        if given[name] != hashes[name]:
            raise CheckpointError(
                f"{folder / name} has SHA-256 {hashes[name]}, the hub says {given[name]}: delete it and fetch it again"
            )


def is_released(hashes: Mapping[str, str]) -> bool:
    """Whether these weight files are the four shards of the released SkinGPT-R1, and nothing else."""
    return sorted(hashes.values()) == sorted(RELEASED)
