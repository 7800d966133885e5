"""First-run secrets: made once per installation, kept beside the data, never in the repository."""

import json
import os
import secrets
import tempfile
from pathlib import Path

FILE_NAME = "secrets.json"


def load_or_create(var_dir: Path) -> dict[str, str]:
    """The installation's secrets: `secret_key` (Django) and `valkey_password`.

    The file is readable by its owner only. Two processes that start at once end with the same secrets:
    the first to link its file into place wins.
    """
    path = var_dir / FILE_NAME
    if not path.exists():
        _create(path)
    stored: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return stored


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # ratings and images lie here too
    fresh = {"secret_key": secrets.token_urlsafe(64), "valkey_password": secrets.token_urlsafe(32)}
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".secrets-")  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(fresh, file)
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()
