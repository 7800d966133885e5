"""Static files are compressed once and again only when one of them changed: compression takes seconds."""

import hashlib
from pathlib import Path

from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

# Shipped by libraries, used by none of our pages.
IGNORED = ["rest_framework", "ext", "htmx-4*", "htmax-*", "htmx-2.js"]


def collect_if_changed(static_root: Path) -> bool:
    """Fills `static_root`; returns False when it was already up to date."""
    mark = static_root / ".sources"
    sources = fingerprint()
    if mark.exists() and mark.read_text(encoding="ascii") == sources:
        return False
    call_command("collectstatic", "--clear", interactive=False, verbosity=0, ignore_patterns=IGNORED)
    mark.write_text(sources, encoding="ascii")
    return True


def fingerprint() -> str:
    """A hash of every source file's name, size and time of change."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list(IGNORED):
            status = Path(storage.path(name)).stat()
            digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
