"""Asking for an import: of an uploaded archive, or of a folder that lies on the server."""

import time
import uuid
from pathlib import Path
from typing import IO, Any, Protocol

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from modelhub.models import Run
from modelhub.services.runs import create_run
from scoring.importers import IMPORTERS
from scoring.importers.archive import ArchiveRefused, check_archive
from scoring.models import Source
from scoring.services.importing import check_rights, check_share

KEPT_FOR_RETRY_S = 24 * 3600


class Upload(Protocol):
    """What a form gives: Django's uploaded file."""

    file: IO[bytes]

    def chunks(self) -> Any: ...


def server_folders() -> list[str]:
    """Names of the folders that may be imported, directly under ``IMPORT_ROOT``."""
    root = Path(settings.IMPORT_ROOT)
    if not root.is_dir():
        return []
    return sorted(folder.name for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))


def uploads() -> Path:
    """Where archives wait for the worker; what is in them has not been cleaned yet."""
    return Path(settings.MEDIA_ROOT) / "uploads"


def discard_old_uploads() -> int:
    """Delete archives that no run will read: of runs cancelled before they began, or not tried again for a day."""
    awaited = set(Run.objects.filter(kind=Run.Kind.IMPORT).active().values_list("plan__archive", flat=True))
    old = [
        path
        for path in uploads().glob("*.zip")
        if path.name not in awaited and time.time() - path.stat().st_mtime > KEPT_FOR_RETRY_S
    ]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def request_import(
    *,
    format: str,
    source: Source,
    actor: Any,
    evaluation_share: float = 0.2,
    folder: str = "",
    archive: Upload | None = None,
) -> Run:
    """Queue an import of one of ``server_folders()`` or of an uploaded ZIP archive.

    Raises ``ValidationError`` for an unknown format or folder, a bad share, a bad archive, or both or neither.
    """
    if format not in IMPORTERS:
        raise ValidationError(f"“{format}” is no format. Formats are {', '.join(IMPORTERS)}.")
    check_share(evaluation_share)
    check_rights(IMPORTERS[format], source)
    if bool(folder) == (archive is not None):
        raise ValidationError("Upload an archive or choose a folder on the server, one of the two.")
    if folder and folder not in server_folders():
        raise ValidationError({"folder": f"“{folder}” is not among the folders to import."})
    discard_old_uploads()
    plan = {"format": format, "source": str(source.public_id), "evaluation_share": evaluation_share, "folder": folder}
    stored = _stored(archive) if archive is not None else None
    try:
        with transaction.atomic():
            title = f"Import into {source}"
            return create_run(
                kind=Run.Kind.IMPORT,
                title=title,
                plan=plan | {"archive": stored.name if stored else ""},
                actor=actor,
            )
    except BaseException:
        if stored:
            stored.unlink(missing_ok=True)
        raise


def _stored(archive: Upload) -> Path:
    try:
        check_archive(archive.file)
    except ArchiveRefused as error:
        raise ValidationError({"archive": str(error)}) from error
    uploads().mkdir(parents=True, exist_ok=True, mode=0o700)
    path = uploads() / f"{uuid.uuid4().hex}.zip"
    archive.file.seek(0)
    with path.open("xb") as target:
        path.chmod(0o600)
        for chunk in archive.chunks():
            target.write(chunk)
    return path
