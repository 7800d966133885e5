"""What this machine offers to the tests beside Python."""

import os
import shutil

import pytest

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
DATABASE_FIXTURES = {"db", "transactional_db", "live_server", "django_db_setup"}
SERVER_MARKS = ("django_db", "postgresql", "system_redis")


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


def meets_servers(item: pytest.Item) -> bool:
    """Whether a test can reach the database or the broker.

    Without the mark or a fixture pytest-django refuses it the database. What remains are the processes that its module
    starts, and the tests of a machine's services and of whole journeys.
    """
    marked = any(item.get_closest_marker(name) for name in SERVER_MARKS)
    served = not DATABASE_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
    starts_processes = hasattr(getattr(item, "module", None), "subprocess")
    return marked or served or starts_processes or item.nodeid.startswith(("tests/runtime/", "tests/flows/"))
