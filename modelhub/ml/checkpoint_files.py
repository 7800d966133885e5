"""What may lie in a checkpoint folder: plain files, JSON, shards and their index. Nothing is loaded here."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

BRANCH_FILE = "skin_branch.safetensors"
BRANCH_CONFIG_FILE = "skin_branch.json"
INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
ADAPTER_FILE = "adapter_model.safetensors"
LFS_MARK = b"version https://git-lfs"
PICKLE_MARKS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # a zip of pickles, or one alone
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
READ_SUFFIXES = (".safetensors", ".json", ".jinja", ".model", ".txt")
CODE_KEYS = ("auto_map", "custom_pipelines")
CONFIG_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
)
ADAPTER_CONFIG_FILE = "adapter_config.json"
PROVENANCE_FILE = "provenance.json"
VOCABULARY_FILES = ("tokenizer.json", "special_tokens_map.json", "added_tokens.json", "vocab.json")
# whatever loading reads beside the weights
READ_FILES = (
    *CONFIG_FILES,
    *VOCABULARY_FILES,
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
    INDEX_FILE,
    BRANCH_CONFIG_FILE,
    ADAPTER_CONFIG_FILE,
    PROVENANCE_FILE,
)

Shape = tuple[int, ...]


class CheckpointError(ValueError):
    """A checkpoint or adapter that cannot be used; the message names the file or the tensors and the reason.

    `missing`, `unexpected`: every tensor name; `shapes`: name → (found, expected), for every tensor of a wrong shape.
    """

    def __init__(
        self,
        message: str,
        *,
        missing: Iterable[str] = (),
        unexpected: Iterable[str] = (),
        shapes: Mapping[str, tuple[Shape, Shape]] | None = None,
    ) -> None:
        super().__init__(message)
        self.missing = tuple(sorted(missing))
        self.unexpected = tuple(sorted(unexpected))
        self.shapes = dict(shapes or {})


def check_tensors(place: Path | str, found: Mapping[str, Shape], expected: Mapping[str, Shape]) -> None:
    """Raises CheckpointError naming every tensor of `place` that is missing, unexpected or of another shape."""
    missing, unexpected = set(expected) - set(found), set(found) - set(expected)
    shapes = {key: (found[key], expected[key]) for key in sorted(set(found) & set(expected))}
    shapes = {key: pair for key, pair in shapes.items() if pair[0] != pair[1]}
    problems = []
    if missing:
        problems.append(f"missing tensors: {', '.join(sorted(missing))}")
    if unexpected:
        problems.append(f"unexpected tensors: {', '.join(sorted(unexpected))}")
    problems += [f"{key} is {list(have)}, must be {list(want)}" for key, (have, want) in shapes.items()]
    if problems:
        raise CheckpointError(f"{place}: {'; '.join(problems)}", missing=missing, unexpected=unexpected, shapes=shapes)


def plain_file(path: Path) -> Path:
    """The path itself. Raises CheckpointError unless it is a file of its own folder and no Git LFS pointer."""
    if path.is_symlink() and not _stays_inside(path):
        raise CheckpointError(f"{path} is a link that leaves its folder: put the file itself there")
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder, must be a file")
    if not path.is_file():
        raise CheckpointError(f"{path.name} is missing in {path.parent}")
    try:
        with path.open("rb") as stream:
            start = stream.read(len(LFS_MARK))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    if start == LFS_MARK:
        raise CheckpointError(f"{path} is a Git LFS pointer, not the file itself: fetch it with `git lfs pull`")
    return path


def _stays_inside(link: Path) -> bool:
    """Links stay in their folder, or in the hub cache's own store of the same model, to which its snapshots point."""
    folder, target = link.parent.resolve(), link.resolve()
    if folder.parent.name == "snapshots" and target.is_relative_to(folder.parent.parent / "blobs"):
        return True
    return target.is_relative_to(folder)


def read_json(path: Path) -> dict[str, Any]:
    """Raises CheckpointError where the file is missing, no plain file or not one JSON object."""
    try:
        content = json.loads(plain_file(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is not readable as JSON: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} must hold a JSON object")
    return content


def check_folder(folder: Path) -> None:
    """Refuse what no model folder may hold: links that leave it, LFS pointers, broken JSON, configurations that want
    code of their own run, an adapter instead of a model."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a folder")
    for path in sorted(folder.iterdir()):
        if path.suffix in READ_SUFFIXES:
            plain_file(path)
        if path.name in CONFIG_FILES:
            check_asks_for_no_code(path, read_json(path))
        if path.name in VOCABULARY_FILES:
            read_json(path)
    if (folder / ADAPTER_CONFIG_FILE).exists():
        raise CheckpointError(f"{folder / ADAPTER_CONFIG_FILE}: this folder is an adapter; give its base as the model")


def check_asks_for_no_code(path: Path, content: Any) -> None:
    if isinstance(content, dict):
        if asked := [key for key in CODE_KEYS if content.get(key)]:
            raise CheckpointError(f"{path} asks to run code of its own ({asked[0]}); this is never done")
        content = list(content.values())
    if isinstance(content, list):
        for value in content:
            if isinstance(value, dict | list):
                check_asks_for_no_code(path, value)


def shard_files(folder: Path) -> list[Path]:
    """The backbone's weight files in order of their names. Raises CheckpointError where none or two kinds lie there."""
    index, single = folder / INDEX_FILE, folder / SINGLE_FILE
    if index.exists() and single.exists():
        raise CheckpointError(
            f"{folder} holds both {SINGLE_FILE} and {INDEX_FILE}: remove the one that does not belong"
        )
    if index.exists():
        return [folder / name for name in sorted(set(read_index(index).values()))]
    if single.exists() or single.is_symlink():
        return [single]
    other = sorted(path.name for path in folder.glob("*") if path.suffix in PICKLE_SUFFIXES)
    hint = f"; {', '.join(other)} are pickles, which are never loaded" if other else ""
    raise CheckpointError(f"{folder} holds neither {SINGLE_FILE} nor {INDEX_FILE}{hint}")


def read_index(index: Path) -> dict[str, str]:
    """Tensor name → shard's name. Raises CheckpointError for an index that is empty or leaves its folder."""
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, dict) or not listed or not all(isinstance(name, str) for name in listed.values()):
        raise CheckpointError(f'{index} lists no weights ("weight_map": tensor name to file name)')
    if outside := sorted({name for name in listed.values() if Path(name).name != name}):
        raise CheckpointError(f"{index} points outside its folder: {', '.join(outside)}")
    if odd := sorted({name for name in listed.values() if not name.endswith(".safetensors")}):
        raise CheckpointError(f"{index} names files that are not safetensors: {', '.join(odd)}")
    return listed


def weight_files(folder: Path) -> list[Path]:
    """Every weight file that loading reads: shards and a side branch beside them, or what an adapter holds."""
    branch = [path for path in (folder / BRANCH_FILE,) if path.exists()]
    if (folder / ADAPTER_FILE).exists():
        return [folder / ADAPTER_FILE, *branch]
    if branch and not (folder / SINGLE_FILE).exists() and not (folder / INDEX_FILE).exists():
        return branch
    return sorted([*shard_files(folder), *branch])


def hash_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_weights(folder: Path) -> str:
    """One SHA-256 for all weights of a folder: the file's where there is one, else of `<sha>  <name>` lines in order of
    the names. Raises CheckpointError where there is none."""
    return combine_hashes({path.name: hash_file(path) for path in weight_files(folder)})


def combine_hashes(hashes: Mapping[str, str]) -> str:
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    lines = "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()


def name_some(keys: Iterable[str], limit: int = 8) -> str:
    listed = sorted(keys)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more
