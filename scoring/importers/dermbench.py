"""DermBench as it is published: one JSONL file of certified reference texts, and the DermNet images that users supply.

The images may not be redistributed and do not come with it. A record is a case of the evaluation split with its text.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from scoring.importers.records import CaseRecord, Importer, ImportRefused, RecordProblem, Unknown, inside
from scoring.models import Case, Split

TABLE = "*.jsonl"
FIELDS = ("id", "source", "split", "category", "diagnosis", "dermnet_image_path", "cot", "cot_sha256")
SPLITS = {"test", "eval", "evaluation", "dermbench", "benchmark"}
LAYOUT = (
    "one .jsonl file (UTF-8), each line a record with id, source, split, category, diagnosis, dermnet_image_path, cot "
    "and cot_sha256, and the DermNet images beside it under the paths that dermnet_image_path names (images/ may stand "
    "before them). Choose a source that does not let images travel: DermNet's may not be redistributed."
)


def read(root: Path) -> Iterator[CaseRecord | RecordProblem]:
    seen: set[str] = set()
    for number, line in enumerate(_lines(root), start=1):
        name = f"line {number}"
        try:
            row = _row(line)
            name = row["id"]
            if name in seen:
                raise Unknown("its id stands on an earlier line too")
            seen.add(name)
            yield _record(root, row)
        except Unknown as error:
            yield RecordProblem(name, str(error))


def count(root: Path) -> int:
    return sum(1 for _ in _lines(root))


def _lines(root: Path) -> Iterator[str]:
    """Lines that hold something. Raises ``ImportRefused`` for a file that is no text."""
    (path,) = root.glob(TABLE)  # the import looked for exactly one
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as stream:
            yield from (line for line in stream if line.strip())
    except UnicodeDecodeError as error:
        raise ImportRefused(f"{path.name} is not UTF-8. It is not the published file.") from error


def _row(line: str) -> dict[str, str]:
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Unknown(f"the line is not JSON ({str(error)[:80]})") from error
    if not isinstance(row, dict):
        raise Unknown("the line is not a JSON object")
    if isinstance(row.get("id"), int) and not isinstance(row["id"], bool):
        row["id"] = str(row["id"])
    for field in FIELDS:
        if not isinstance(row.get(field), str) or not row[field].strip():
            raise Unknown(f"the field {field} is missing or no text")
    return row


def _record(root: Path, row: dict[str, str]) -> CaseRecord:
    text = row["cot"]
    if checksum(text) != row["cot_sha256"].strip().lower():
        raise Unknown("its text does not have the checksum that cot_sha256 states; get the file again")
    if row["split"].strip().lower() not in SPLITS:
        raise Unknown(f"split “{row['split']}” is none of {', '.join(sorted(SPLITS))}; DermBench trains no model")
    if not row["diagnosis"].isprintable() or not row["id"].isprintable():
        raise Unknown("its id or diagnosis holds a line break or another control character")
    return CaseRecord(
        source_key=row["id"].strip(),
        group_key=row["id"].strip(),  # no patient or lesion is published
        diagnosis=row["diagnosis"].strip(),
        basis=Case.Basis.DATASET_LABEL,
        images=(_image(root, row["dermnet_image_path"].strip()),),
        split=Split.EVALUATION,
        narrative=text,
    )


def checksum(text: str) -> str:
    """SHA-256 of the text. Raises ``Unknown`` for half a character, which no file can hold."""
    try:
        return hashlib.sha256(text.encode()).hexdigest()
    except UnicodeEncodeError as error:
        raise Unknown("its text holds half a character (a lone surrogate)") from error


def _image(root: Path, name: str) -> Path:
    """Under the folder, or under images/ there; the outermost folders of the path may be missing, its last one not: a
    file name alone could be another picture's."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    for cut in range(max(1, len(parts) - 1)):
        for start in ("", "images"):
            try:
                return inside(root, str(PurePosixPath(start, *parts[cut:])))
            except Unknown:
                continue
    raise Unknown(f"image “{name}” is not in the folder; DermBench's images have to be supplied")


IMPORTER = Importer("dermbench", "DermBench (JSONL)", TABLE, LAYOUT, read, count, redistributable=False)
