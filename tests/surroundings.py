"""What this machine offers to the tests beside Python."""

import os
import shutil

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium_path() -> str | None:
    return next((path for path in map(shutil.which, CHROMIUM_NAMES) if path), None)


def missing_for_marker() -> dict[str, str]:
    """Markers whose tests cannot run in this process, each with what it lacks."""
    missing = {}
    if not os.environ.get("DATABASE_URL", "").startswith("postgres"):
        missing["postgresql"] = "DATABASE_URL is not PostgreSQL"
    if not os.environ.get("REDIS_URL"):
        missing["system_redis"] = "REDIS_URL is not set"
    if chromium_path() is None:
        missing["browser"] = "Chromium is not installed"
    return missing
