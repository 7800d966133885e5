"""PAD-UFES-20 as it is published (Pacheco et al. 2020, Data in Brief 32:106221): smartphone images of skin lesions.

One case per lesion, with all its images; the group is the patient.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from scoring.importers.grouped_rows import Row, rows_by_key
from scoring.importers.records import (
    CaseRecord,
    Importer,
    RecordProblem,
    Unknown,
    check_row,
    inside,
    table_rows,
    whole_number,
)
from scoring.models import Case

TABLE = "metadata.csv"
REQUIRED = {"patient_id", "lesion_id", "diagnostic", "img_id", "biopsed"}
SAME_IN_A_LESION = ("diagnostic", "biopsed", "fitspatrick", "gender", "region", "age")
SCALE = "Fitzpatrick"
DIAGNOSES = {
    "ACK": "actinic keratosis",
    "BCC": "basal cell carcinoma",
    "MEL": "melanoma",
    "NEV": "melanocytic nevus",
    "SCC": "squamous cell carcinoma",
    "SEK": "seborrheic keratosis",
}
# Lesions without a biopsy were diagnosed by a consensus of dermatologists, says the publication.
BASES = {"true": Case.Basis.HISTOPATHOLOGY, "false": Case.Basis.CONSENSUS, "": Case.Basis.DATASET_LABEL}
SEXES = {"FEMALE": Case.Sex.FEMALE, "MALE": Case.Sex.MALE, "": ""}
LAYOUT = (
    "metadata.csv and the unpacked image folders imgs_part_1, imgs_part_2 and imgs_part_3 (beside it or under images/)."
)


def read(root: Path) -> Iterator[CaseRecord | RecordProblem]:
    folders = _image_folders(root)
    if not folders:
        yield RecordProblem(TABLE, "there is no folder imgs_part_1; unpack imgs_part_1.zip and the others beside it")
        return
    for key, rows in rows_by_key(table_rows(root / TABLE, REQUIRED), _lesion):
        try:
            yield _record(key, rows, folders)
        except Unknown as error:
            yield RecordProblem(key, str(error))


def count(root: Path) -> int:
    return sum(1 for _ in rows_by_key(table_rows(root / TABLE, REQUIRED), _lesion))


def _lesion(row: Row) -> str:
    return f"{row['patient_id']}_{row['lesion_id']}"


def _image_folders(root: Path) -> list[Path]:
    """The published archives unpack to imgs_part_1/imgs_part_1 with some tools."""
    return sorted(folder for folder in root.glob("**/imgs_part_*") if folder.is_dir())


def _record(key: str, rows: list[Row], folders: list[Path]) -> CaseRecord:
    for row in rows:
        check_row(row)
    row = rows[0]
    for column in sorted(REQUIRED - {"biopsed"}):
        if any(not one[column] for one in rows):
            raise Unknown(f"the column {column} is empty")
    for column in SAME_IN_A_LESION:
        if len(stated := {one.get(column, "") for one in rows}) > 1:
            raise Unknown(f"its rows disagree about {column}: {', '.join(sorted(stated))}")
    tone = _tone(row.get("fitspatrick", ""))
    return CaseRecord(
        source_key=key,
        group_key=row["patient_id"],
        diagnosis=_known(DIAGNOSES, row["diagnostic"].upper(), "diagnostic"),
        basis=_known(BASES, row["biopsed"].lower(), "biopsed"),
        images=tuple(_image(folders, one["img_id"]) for one in rows),
        age=whole_number(row.get("age", ""), "age"),
        sex=_known(SEXES, row.get("gender", "").upper(), "gender"),
        body_site=row.get("region", "").lower(),
        skin_tone=tone,
        skin_tone_scale=SCALE if tone else "",
    )


def _known(meanings: Mapping[str, str], text: str, column: str) -> str:
    if text not in meanings:
        raise Unknown(f"{column} “{text}” is none of {', '.join(key for key in meanings if key)}")
    return str(meanings[text])


def _tone(text: str) -> str:
    tone = whole_number(text, "fitspatrick")
    if tone is not None and not 1 <= tone <= 6:
        raise Unknown(f"fitspatrick “{text}” is not a type from 1 to 6")
    return "" if tone is None else str(tone)


def _image(folders: list[Path], name: str) -> Path:
    for folder in folders:
        try:
            return inside(folder, name)
        except Unknown:
            continue
    raise Unknown(f"image “{name}” is in none of the folders imgs_part_…")


IMPORTER = Importer("pad-ufes-20", "PAD-UFES-20", TABLE, LAYOUT, read, count)
