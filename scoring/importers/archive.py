"""Uploaded ZIP archives: checked as hostile before anything of them is written."""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

MAX_FILES = 100_000
MAX_UNPACKED = 20 * 1024**3
MAX_RATIO = 100  # pictures hardly shrink; beyond this an archive is a bomb
RATIO_FROM = 1024**2  # small tables may shrink as they like
COPY = 1024**2


class ArchiveRefused(Exception):
    """An archive that is not unpacked; the message says why."""


def check_archive(stream: IO[bytes]) -> int:
    """The number of files in it. Raises ``ArchiveRefused``; nothing is unpacked."""
    with _opened(stream) as archive:
        entries = list(_wanted(archive))
    if not entries:
        raise ArchiveRefused("The archive is empty.")
    if len(entries) > MAX_FILES:
        raise ArchiveRefused(f"The archive has {len(entries):,} files; at most {MAX_FILES:,} are taken.")
    if (size := sum(entry.file_size for entry in entries)) > MAX_UNPACKED:
        raise ArchiveRefused(f"Unpacked, the archive has {size / 1e9:.1f} GB; at most {MAX_UNPACKED / 1e9:.0f} GB.")
    seen: set[str] = set()
    for entry in entries:
        _check_entry(entry)
        if (key := entry.filename.casefold()) in seen:
            raise ArchiveRefused(f"The archive holds “{entry.filename}” twice.")
        seen.add(key)
    return len(entries)


def unpack_archive(path: Path, into: Path) -> None:
    """Write the archive's files under ``into``. Raises ``ArchiveRefused`` as ``check_archive`` does."""
    with path.open("rb") as stream:
        check_archive(stream)
        with _opened(stream) as archive:
            left = MAX_UNPACKED
            for entry in _wanted(archive):
                target = into / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                left -= _copy(archive, entry, target, left)


def _opened(stream: IO[bytes]) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise ArchiveRefused("This is not a ZIP archive, or it is damaged. Pack the folder again.") from error


def _wanted(archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """Files, without what operating systems add by themselves."""
    for entry in archive.infolist():
        parts = PurePosixPath(entry.filename).parts
        if not entry.is_dir() and "__MACOSX" not in parts and parts and parts[-1] not in (".DS_Store", "Thumbs.db"):
            yield entry


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not name.isprintable():
        raise ArchiveRefused(f"The archive holds a file outside its folder or with a bad name: “{name[:100]}”.")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise ArchiveRefused(f"“{name}” is a link or a device, not a file.")
    if entry.flag_bits & 0x1:
        raise ArchiveRefused("The archive is encrypted. Pack it without a password.")
    if entry.file_size > RATIO_FROM and entry.file_size > MAX_RATIO * max(1, entry.compress_size):
        raise ArchiveRefused(f"“{name}” unpacks to more than {MAX_RATIO} times its size.")


def _copy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Bytes written; the header may lie about them, so they are counted."""
    written = 0
    limit = min(left, entry.file_size)
    try:
        with archive.open(entry) as packed, target.open("wb") as file:
            while block := packed.read(COPY):
                written += len(block)
                if written > limit:
                    raise ArchiveRefused(f"“{entry.filename}” is larger than the archive says.")
                file.write(block)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise ArchiveRefused(
            f"“{entry.filename}” cannot be unpacked: the archive is damaged. Pack it again."
        ) from error
    return written
