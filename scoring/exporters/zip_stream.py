"""A ZIP that comes out byte for byte the same, written from front to back without seeking."""

import hashlib
import io
import zipfile
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from scoring.exporters.items import ExportError

FIXED_TIME = (1980, 1, 1, 0, 0, 0)
STORED_SUFFIXES = (".jpg", ".png", ".webp")


class _Sink:
    """Write-only: hides ``seek``, so that the bytes do not depend on the kind of target."""

    def __init__(self, target: BinaryIO) -> None:
        self.target = target
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> int:
        self.digest.update(data)
        self.size += len(data)
        self.target.write(data)
        return len(data)

    def flush(self) -> None:
        self.target.flush()


class ZipStream:
    """Adds files in the order given and remembers each one's SHA-256 in ``sums``.

    Fixed time stamps and permissions; pictures are stored, text is deflated. ``size`` (bytes) and
    ``sha256`` are of the archive and complete once it is closed.
    """

    def __init__(self, target: BinaryIO) -> None:
        self.sums: dict[str, str] = {}
        self._sink = _Sink(target)
        self._zip = zipfile.ZipFile(self._sink, "w", allowZip64=True)  # type: ignore[call-overload]

    def __enter__(self) -> "ZipStream":
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is not None:
            # An archive broken off must not be closed into one that looks whole.
            self._sink.target = io.BytesIO()
        self._zip.close()

    @property
    def size(self) -> int:
        return self._sink.size

    @property
    def sha256(self) -> str:
        return self._sink.digest.hexdigest()

    def add(self, name: str, content: bytes | Iterable[bytes]) -> str:
        """Write one file and return its SHA-256. Raises :class:`ExportError` for an unsafe or used name."""
        check_name(name)
        if name in self.sums:
            raise ExportError(f"The archive already holds a file “{name}”.")
        info = zipfile.ZipInfo(name, FIXED_TIME)
        info.create_system = 3
        info.external_attr = 0o644 << 16
        info.compress_type = zipfile.ZIP_STORED if name.endswith(STORED_SUFFIXES) else zipfile.ZIP_DEFLATED
        digest = hashlib.sha256()
        with self._zip.open(info, "w", force_zip64=True) as entry:
            for chunk in [content] if isinstance(content, bytes) else content:
                digest.update(chunk)
                entry.write(chunk)
        self.sums[name] = digest.hexdigest()
        return self.sums[name]


def check_name(name: str) -> None:
    """Raises :class:`ExportError` unless ``name`` is a plain relative path with forward slashes."""
    parts = PurePosixPath(name).parts
    if not parts or name != "/".join(parts) or name.startswith("/") or ".." in parts or "\\" in name:
        raise ExportError(f"“{name}” is not a plain relative file name.")
