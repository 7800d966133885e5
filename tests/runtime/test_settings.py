"""The settings module, imported by fresh interpreters with chosen environments."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCTION = {
    "PRODUCTION": "1",
    "SECRET_KEY": "x7Gq" * 16,
    "ALLOWED_HOSTS": "studio.example.org",
    "DATABASE_URL": "postgresql://user:password@db.example.org/dermcot",
}


def evaluate(expression: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    code = f"import json; from annotator import settings as s; print(json.dumps({expression}, default=str))"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def value(expression: str, environment: dict[str, str]):
    result = evaluate(expression, environment)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_empty_environment_gives_a_working_studio(tmp_path):
    """Truly empty but for the folder, which keeps the test out of the developer's own var."""
    assert value(
        "[s.DATABASES['default']['NAME'], s.REDIS_URL.split('@')[1], s.DEBUG]", {"DERMCOT_VAR": str(tmp_path)}
    ) == [str(tmp_path / "db.sqlite3"), str(tmp_path / "valkey" / "valkey.sock"), False]


def test_without_the_folder_the_data_lie_beside_the_code():
    code = "import ast, pathlib; print('BASE_DIR / \"var\"' in pathlib.Path('annotator/settings.py').read_text())"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "True\n"


def test_installations_have_different_secret_keys(tmp_path):
    keys = {value("s.SECRET_KEY", {"DERMCOT_VAR": str(tmp_path / name)}) for name in "ab"}

    assert len(keys) == 2


@pytest.mark.parametrize("missing", ["SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"])
def test_production_refuses_to_start_without(tmp_path, missing):
    environment = {name: word for name, word in PRODUCTION.items() if name != missing}
    result = evaluate("1", {**environment, "DERMCOT_VAR": str(tmp_path)})

    assert result.returncode != 0
    last_line = result.stderr.strip().splitlines()[-1]
    assert missing in last_line
    assert not any(name in last_line for name in PRODUCTION if name not in (missing, "PRODUCTION"))


def test_production_is_strict(tmp_path):
    names = ["DEBUG", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS"]
    found = value(f"[getattr(s, name) for name in {names}]", {**PRODUCTION, "DEBUG": "1", "DERMCOT_VAR": str(tmp_path)})

    assert found == [False, True, True, True, 31_536_000]


def test_servers_are_switched_by_environment(tmp_path):
    found = value(
        "[s.DATABASES['default']['ENGINE'], s.CELERY_BROKER_URL]",
        {"DERMCOT_VAR": str(tmp_path), "DATABASE_URL": PRODUCTION["DATABASE_URL"], "REDIS_URL": "redis://r:6379/2"},
    )

    assert found == ["django.db.backends.postgresql", "redis://r:6379/2"]


def test_a_word_that_is_neither_yes_nor_no_is_refused(tmp_path):
    result = evaluate("1", {"PRODUCTION": "maybe", "DERMCOT_VAR": str(tmp_path)})

    assert "PRODUCTION is 'maybe'; set it to 1 or 0." in result.stderr


def test_sqlite_is_set_for_concurrent_writers(db):
    from django.db import connection

    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL needs none of it")
    with connection.cursor() as cursor:
        found = [cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
        assert cursor.execute("PRAGMA busy_timeout").fetchone()[0] == 20_000

    assert found == ["wal", 2]
    assert connection.transaction_mode == "IMMEDIATE"


def test_requests_open_no_transaction_of_their_own(settings):
    assert not settings.DATABASES["default"].get("ATOMIC_REQUESTS")


def test_messages_are_json_acknowledged_late_and_leave_no_result():
    from annotator.celery import app

    assert app.conf.task_acks_late
    assert app.conf.task_ignore_result
    assert app.conf.result_backend is None
    assert app.conf.accept_content == ["json"]
    assert app.conf.worker_prefetch_multiplier == 1


def test_stored_images_have_no_address():
    from django.core.files.storage import default_storage

    with pytest.raises(ValueError, match="has no address"):
        default_storage.url("lesion.jpg")
