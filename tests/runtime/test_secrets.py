"""First-run secrets are made once, privately, and by one process only."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor

from annotator.runtime import secrets


def test_secrets_are_long_and_differ(tmp_path):
    made = secrets.load_or_create(tmp_path / "var")

    assert len(made["secret_key"]) >= 64
    assert len(made["valkey_password"]) >= 32
    assert made != secrets.load_or_create(tmp_path / "other")


def test_second_start_finds_the_same(tmp_path):
    assert secrets.load_or_create(tmp_path) == secrets.load_or_create(tmp_path)


def test_only_the_owner_may_read_them(tmp_path):
    secrets.load_or_create(tmp_path / "var")

    paths = (tmp_path / "var", tmp_path / "var" / secrets.FILE_NAME)
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o700, 0o600]


def test_starts_at_the_same_time_agree(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: json.dumps(secrets.load_or_create(tmp_path)), range(32)))

    assert len(set(made)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [secrets.FILE_NAME]
