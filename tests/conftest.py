"""The suite's surroundings: a temporary var folder, and which tests can run on this machine.

It must be imported before Django's settings are: tests never touch the developer's own var folder.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from itertools import islice

# Dozens of tests start processes that import torch: without bytecode each of them compiles it anew for ten seconds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

VAR_DIR = os.path.realpath(tempfile.mkdtemp(prefix="dermcot-tests-"))
os.environ["DERMCOT_VAR"] = VAR_DIR
os.environ["DJANGO_SETTINGS_MODULE"] = "annotator.settings"
os.environ["DEBUG"] = "1"  # static files straight from the folders, no manifest
os.environ.pop("PRODUCTION", None)
os.environ.pop("MEDIA_ROOT", None)
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Playwright's synchronous driver runs an event loop in the test's thread; Django would refuse the database there.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

import pytest  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.auth.hashers import Argon2PasswordHasher  # noqa: E402

from tests.surroundings import meets_servers, missing_for_marker  # noqa: E402

assert str(settings.VAR_DIR) == VAR_DIR  # and from here on pytest-django finds settings to set Django up with
# Were it inherited, xdist's workers would load the settings before this file gives each a folder of its own.
del os.environ["DJANGO_SETTINGS_MODULE"]

# Argon2 as in production, at its least cost: a quarter of a second for each person that a test makes is too long.
Argon2PasswordHasher.time_cost, Argon2PasswordHasher.memory_cost, Argon2PasswordHasher.parallelism = 1, 8, 1


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    for item in items:
        if meets_servers(item):
            item.add_marker("servers")
    yield  # -m chooses
    leave_out(config, items)
    items[:] = long_ones_first(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    missing = missing_for_marker()
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in missing)]
    if not left_out:
        return
    names = {name for item in left_out for name in missing if item.get_closest_marker(name)}
    reasons = "; ".join(f"{name} ({missing[name]})" for name in sorted(names))
    if os.environ.get("CI") == "true" and "browser" in names:
        raise pytest.UsageError(f"CI must run every test, but these cannot run here: {reasons}.")
    config.stash[LEFT_OUT] = f"Left out {len(left_out)} tests: {reasons}."
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def long_ones_first(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Each worker is first sent one of as many even chunks: slow modules are dealt to their beginnings, whole, so that
    what a module sets up is set up once; the rest fills up and may be stolen."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    rest = iter([item for item in items if not item.get_closest_marker("slow")])
    modules = list(dict.fromkeys(item.path for item in slow))
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        dealt = [item for item in slow if modules.index(item.path) % workers == worker]
        size = (len(items) - len(ordered)) // (workers - worker)
        ordered += [*dealt, *islice(rest, max(0, size - len(dealt)))]
    return [*ordered, *rest]


LEFT_OUT = pytest.StashKey[str]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if LEFT_OUT in config.stash:
        terminalreporter.write_line(config.stash[LEFT_OUT])


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(VAR_DIR, ignore_errors=True)
