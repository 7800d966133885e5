"""What every importer gives: records of cases, and problems by name."""

import csv
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


class ImportRefused(Exception):
    """Nothing can be read from this folder; the message says what to do."""


@dataclass(frozen=True)
class CaseRecord:
    """One case as its data set states it; ``None`` and empty strings are unknown. ``images``: files, in order.
    ``narrative``: a text about it that comes along."""

    source_key: str
    group_key: str
    diagnosis: str
    basis: str
    images: tuple[Path, ...]
    split: str | None = None
    age: int | None = None
    sex: str = ""
    body_site: str = ""
    skin_tone: str = ""
    skin_tone_scale: str = ""
    narrative: str = ""


@dataclass(frozen=True)
class RecordProblem:
    """Something that was not taken: its name in the data set, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class Importer:
    """One data set's layout. ``read`` and ``count`` get the folder in which ``table`` (a name or a pattern) lies.
    ``redistributable``: whether its images may travel at all."""

    name: str
    label: str
    table: str
    layout: str
    read: Callable[[Path], Iterator[CaseRecord | RecordProblem]]
    count: Callable[[Path], int]
    redistributable: bool = True


SURPLUS = "surplus cells"


class Unknown(ValueError):
    """A value that cannot be read; the message is the end of a sentence about its record."""


def table_rows(path: Path, required: set[str]) -> Iterator[dict[str, str]]:
    """The rows of a CSV file with a header, stripped. Raises ``ImportRefused`` when it cannot be read."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, restkey=SURPLUS, restval="")
            columns = {(name or "").strip() for name in reader.fieldnames or ()}
            if missing := sorted(required - columns):
                raise ImportRefused(f"{path.name} lacks the column {', '.join(missing)}. It has: {_listed(columns)}.")
            for row in reader:
                # surplus cells are the only list among the values
                yield {
                    (name or "").strip(): value.strip() if isinstance(value, str) else "yes"
                    for name, value in row.items()
                }
    except FileNotFoundError as error:
        raise ImportRefused(f"{path.name} is not in this folder.") from error
    except UnicodeDecodeError as error:
        raise ImportRefused(f"{path.name} is not UTF-8. Save it as “CSV UTF-8”.") from error
    except csv.Error as error:
        raise ImportRefused(f"{path.name} cannot be read as CSV: {error}.") from error


def check_row(row: dict[str, str]) -> None:
    """Raises ``Unknown`` for a row that was cut up wrongly or holds control characters."""
    if SURPLUS in row:
        raise Unknown("it has more cells than the table has columns; put values that hold a comma in quotes")
    for column, text in row.items():
        if not text.isprintable() and any(unicodedata.category(character) == "Cc" for character in text):
            raise Unknown(f"the column {column} holds a line break or another control character")


def _listed(columns: set[str]) -> str:
    return ", ".join(sorted(columns - {""})) or "nothing"


def whole_number(text: str, what: str) -> int | None:
    """``None`` for an empty cell; “54” and “54.0” are 54. Raises ``Unknown``."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if value < 0 or not value.is_integer():
        raise Unknown(f"{what} “{text}” is not a whole number; leave it empty if it is unknown")
    return int(value)


def inside(root: Path, name: str) -> Path:
    """The file of that name under ``root``. Raises ``Unknown`` when it is missing or lies elsewhere."""
    try:
        path = (root / name).resolve()
        is_file = path.is_relative_to(root.resolve()) and path.is_file()
    except (OSError, ValueError):  # a NUL byte, a loop of links, a name too long
        is_file = False
    if not is_file:
        raise Unknown(f"image “{name}” is not in the folder")
    return path
