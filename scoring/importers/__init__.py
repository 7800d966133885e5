"""Importers: one file per layout, one line here."""

from scoring.importers import dermbench, folder, pad_ufes_20
from scoring.importers.records import CaseRecord, Importer, ImportRefused, RecordProblem

IMPORTERS: dict[str, Importer] = {
    importer.name: importer
    for importer in (
        folder.IMPORTER,
        pad_ufes_20.IMPORTER,
        dermbench.IMPORTER,
    )
}

__all__ = ["IMPORTERS", "CaseRecord", "ImportRefused", "Importer", "RecordProblem"]
