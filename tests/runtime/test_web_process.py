"""The web tier runs without torch: a web process that has served a page has none of the heavy packages in memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = ["torch", "transformers", "peft", "accelerate", "scipy", "pandas", "sklearn"]
SERVE = """
import json, sys
from annotator.wsgi import application
from django.urls import get_resolver

def walk(resolver):
    for entry in resolver.url_patterns:
        if hasattr(entry, "url_patterns"):
            yield from walk(entry)
        else:
            yield entry.callback

views = list(walk(get_resolver()))
from django.test import Client
status = Client(headers={"host": "localhost"}).get("/accounts/login/").status_code
print(json.dumps([len(views), status, sorted({name.split(".")[0] for name in sys.modules} & set(HEAVY))]))
"""


def served(code: str, tmp_path: Path) -> list:
    result = subprocess.run(
        [sys.executable, "-c", code.replace("HEAVY", repr(HEAVY))],
        cwd=ROOT,
        env={**os.environ, "DERMCOT_VAR": str(tmp_path), "DEBUG": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_web_process_imports_no_heavy_package(tmp_path):
    views, status, heavy = served(SERVE, tmp_path)

    assert views >= 6
    assert status == 200
    assert heavy == []


def test_the_check_itself_sees_a_heavy_import(tmp_path):
    assert served("import scipy\n" + SERVE, tmp_path)[2] == ["scipy"]
