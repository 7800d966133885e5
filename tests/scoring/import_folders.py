"""Folders as data sets bring them."""

import csv
import zlib
from pathlib import Path

from scoring.services.importing import import_cases
from tests.factories import png

COLUMNS = (
    "case_id",
    "images",
    "diagnosis",
    "basis",
    "group",
    "split",
    "age",
    "sex",
    "body_site",
    "skin_tone",
    "skin_tone_scale",
)
PAD_COLUMNS = (
    "patient_id",
    "lesion_id",
    "smoke",
    "drink",
    "background_father",
    "background_mother",
    "age",
    "pesticide",
    "gender",
    "skin_cancer_history",
    "cancer_history",
    "has_piped_water",
    "has_sewage_system",
    "fitspatrick",
    "region",
    "diameter_1",
    "diameter_2",
    "diagnostic",
    "itch",
    "grew",
    "hurt",
    "changed",
    "bleed",
    "elevation",
    "img_id",
    "biopsed",
)


def write_csv(path: Path, columns: list[str] | tuple[str, ...], rows: list[dict]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def row(number: int, **changes) -> dict:
    values = {
        "case_id": f"case-{number}",
        "images": f"{number}.png",
        "diagnosis": "melanoma",
        "basis": "histopathology",
        "group": f"patient-{number}",
    }
    return values | changes


def colour(name: str) -> tuple[int, int, int]:
    """Another one for each name, so that no two files are the same."""
    red, green, blue = zlib.crc32(name.encode()).to_bytes(4, "big")[:3]
    return red, green, blue


def make_folder(root: Path, rows: list[dict], columns: tuple[str, ...] = COLUMNS) -> Path:
    """cases.csv and one picture of its own per named file that is not there yet."""
    root.mkdir(parents=True, exist_ok=True)
    write_csv(root / "cases.csv", columns, rows)
    for name in (name for one in rows for name in one.get("images", "").split(";") if name):
        path = root / name
        if path.suffix == ".png" and ".." not in name and not Path(name).is_absolute() and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(colour(name)))
    return root


def pad_row(patient: int, lesion: int, image: int, **changes) -> dict:
    values = {
        "patient_id": f"PAT_{patient}",
        "lesion_id": str(lesion),
        "age": "55",
        "gender": "FEMALE",
        "fitspatrick": "3.0",
        "region": "FOREARM",
        "diagnostic": "BCC",
        "img_id": f"PAT_{patient}_{lesion}_{image}.png",
        "biopsed": "True",
        "smoke": "False",
    }
    return values | changes


def make_pad(
    root: Path, rows: list[dict], folders: tuple[str, ...] = ("images/imgs_part_1", "images/imgs_part_2")
) -> Path:
    """metadata.csv with the published columns, images spread over the published folders."""
    root.mkdir(parents=True, exist_ok=True)
    write_csv(root / "metadata.csv", PAD_COLUMNS, rows)
    for number, one in enumerate(rows):
        path = root / folders[number % len(folders)] / one["img_id"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(colour(one["img_id"])))
    return root


def run(path, source, format="folder", **options):
    return import_cases(format=format, path=path, source=source, actor=None, **options)


def reasons(report) -> dict[str, str]:
    return {problem.name: problem.reason for problem in report.problems}
