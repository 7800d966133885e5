"""The generic folder: ``cases.csv`` and the images that it names."""

from collections.abc import Iterator
from pathlib import Path

from scoring.importers.records import (
    SURPLUS,
    CaseRecord,
    Importer,
    RecordProblem,
    Unknown,
    check_row,
    inside,
    table_rows,
    whole_number,
)
from scoring.models import Case, Split

TABLE = "cases.csv"
REQUIRED = {"case_id", "images", "diagnosis", "basis"}
OPTIONAL = {"group", "split", "age", "sex", "body_site", "skin_tone", "skin_tone_scale"}
SEXES = {"f": Case.Sex.FEMALE, "m": Case.Sex.MALE}
LAYOUT = (
    "cases.csv (UTF-8) with one row per case and the images beside it. Needed columns: case_id; images (file names "
    "under the folder, several separated by “;”); diagnosis; basis (histopathology, consensus, one_clinician or "
    "dataset_label). Optional: group (patient or lesion; without it each case is a group of its own); split (training "
    "or evaluation); age; sex (female, male or other); body_site; skin_tone with skin_tone_scale. "
    "An empty cell means unknown."
)


def read(root: Path) -> Iterator[CaseRecord | RecordProblem]:
    for number, row in enumerate(table_rows(root / TABLE, REQUIRED), start=2):
        if number == 2 and (extra := sorted(set(row) - REQUIRED - OPTIONAL - {"", SURPLUS})):
            yield RecordProblem(TABLE, f"the column {', '.join(extra)} is not known and was not read")
        name = row["case_id"] or f"{TABLE}, record {number}"
        try:
            yield _record(root, row)
        except Unknown as error:
            yield RecordProblem(name, f"{error}")


def count(root: Path) -> int:
    return sum(1 for _ in table_rows(root / TABLE, REQUIRED))


def _record(root: Path, row: dict[str, str]) -> CaseRecord:
    check_row(row)
    for column in sorted(REQUIRED):
        if not row[column]:
            raise Unknown(f"the column {column} is empty")
    names = [name.strip() for name in row["images"].split(";") if name.strip()]
    if not names:
        raise Unknown("the column images names no file")
    return CaseRecord(
        source_key=row["case_id"],
        group_key=row.get("group", "") or row["case_id"],
        diagnosis=row["diagnosis"],
        basis=_choice("basis", row["basis"], Case.Basis.values),
        images=tuple(inside(root, name) for name in names),
        split=_choice("split", row.get("split", ""), Split.values) or None,
        age=whole_number(row.get("age", ""), "age"),
        sex=_choice("sex", SEXES.get(row.get("sex", "").lower(), row.get("sex", "")), Case.Sex.values),
        body_site=row.get("body_site", ""),
        skin_tone=row.get("skin_tone", ""),
        skin_tone_scale=_scale(row),
    )


def _choice(column: str, text: str, values: list[str]) -> str:
    if text and text.lower() not in values:
        raise Unknown(f"{column} “{text}” is none of {', '.join(values)}")
    return text.lower()


def _scale(row: dict[str, str]) -> str:
    """The scale's name where a tone is given: one without the other says nothing."""
    tone, scale = row.get("skin_tone", ""), row.get("skin_tone_scale", "")
    if tone and not scale:
        raise Unknown(f"skin_tone “{tone}” names no scale; fill skin_tone_scale, for example Fitzpatrick")
    return scale if tone else ""


IMPORTER = Importer("folder", "Folder with cases.csv", TABLE, LAYOUT, read, count)
