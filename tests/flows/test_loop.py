"""The whole loop over HTTP, with real workers and the real tiny model: no fakes."""

import csv
import hashlib
import io
import json
import statistics
import zipfile
from collections import defaultdict
from pathlib import Path

import pytest
from django.db import connection

from tests.flows.dermatologist import consent, lesions_by_code, rate_all
from tests.flows.studio import Studio, running_studio
from tests.flows.tables import tables
from tests.flows.visitor import Visitor

HELD_OUT = 150  # a third of them of dark skin, of which the tiny model has seen little


@pytest.mark.slow
@pytest.mark.django_db
def test_the_whole_loop(tmp_path: Path) -> None:
    with running_studio(tmp_path, training=110, evaluation=HELD_OUT) as studio:
        assert studio.tables() == tables(connection)  # migrations make what the models ask for
        admin = Visitor(studio, "admin")
        certified_before = certified_count(admin)
        write_the_missing_narratives(admin)
        dermatologists_rate_and_correct(studio)
        assert certified_count(admin) > certified_before + 20

        records = export_dermcot(admin)
        assert len(records) == certified_count(admin)
        assert train_adapter(admin) == "Done"

        freeze(admin, "/hub/dermbench/")
        compared = benchmark(Visitor(studio, "researcher"))
        assert len(compared) == HELD_OUT // 3
        gain = paired_gain(compared)
        print(f"gain in right diagnoses over {len(compared)} held-out drawings of dark skin: {gain}")
        assert gain[1] > 0, gain


def certified_count(admin: Visitor) -> int:
    """Certified training narratives, as the DermCoT page counts them."""
    import re

    admin.open("/hub/dermcot/")
    found = re.search(r"Certified narratives in “[^”]*”: (\d+), of cases", admin.text)
    assert found, admin.text[:2000]
    return int(found[1])


def write_the_missing_narratives(admin: Visitor) -> None:
    admin.open("/hub/runs/generate/")
    form = admin.form("model", "study")
    study = next(value for value in form.choices["study"] if value)
    admin.submit(form=form, study=study, split="training", check="1")
    assert "20" in admin.text
    admin.submit(form=admin.form("promised"))
    assert admin.wait_for_run() == "Done"


def dermatologists_rate_and_correct(studio: Studio) -> None:
    lesions = lesions_by_code(studio)
    visitors = [Visitor(studio, name) for name in ("lin", "okafor", "moreau")]
    for visitor in visitors:
        consent(visitor)
    done = [rate_all(visitor, lesions) for visitor in [*visitors, *visitors]]
    assert sum(entry["rated"] for entry in done) >= 30, done
    assert sum(entry["corrected"] for entry in done) >= 1, done
    visitors[0].open("/rate/mine/")
    assert "Certified" in visitors[0].page.text


def freeze(admin: Visitor, page: str) -> None:
    admin.open(page)
    admin.submit(form=admin.form("kind", "study", action="freeze"))
    assert "is frozen with" in admin.text


def export_dermcot(admin: Visitor) -> list[dict[str, object]]:
    """Freeze, export, download, and load the file back: checksums and records."""
    freeze(admin, "/hub/dermcot/")
    admin.submit(form=admin.form(action="export"))
    assert admin.wait_for_run() == "Done"
    archive = zipfile.ZipFile(io.BytesIO(admin.open(admin.links("/artifacts/")[0]).content))
    (sums,) = [name for name in archive.namelist() if name.endswith("SHA256SUMS")]
    root = sums.removesuffix("SHA256SUMS")
    lines = archive.read(sums).decode().splitlines()
    assert len(lines) == len(archive.namelist()) - 1
    for line in lines:
        digest, name = line.split(maxsplit=1)
        assert hashlib.sha256(archive.read(root + name.lstrip("*"))).hexdigest() == digest
    (train,) = [name for name in archive.namelist() if name.endswith("train.jsonl")]
    records = [json.loads(line) for line in archive.read(train).decode().splitlines()]
    for record in records:
        assert [message["role"] for message in record["messages"]] == ["user", "assistant"]
        for image in record["images"]:
            assert archive.getinfo(root + image).file_size > 0
    return records


def train_adapter(admin: Visitor) -> str:
    admin.open("/hub/dermcot/")
    admin.open(admin.links("/retrain/$")[0])
    admin.submit(form=admin.form("base", "recipe"))
    return admin.wait_for_run()


def benchmark(researcher: Visitor) -> dict[str, dict[str, float]]:
    """Base and adapter on DermBench, drawings of dark skin: 1 where the diagnosis is right, by case and model."""
    researcher.open("/hub/dermbench/start/")
    form = researcher.form("dataset", "models", "evaluator")
    assert len(form.choices["models"]) == 2
    researcher.submit(form=form, models=form.choices["models"])
    run_page = str(researcher.page.url)
    assert researcher.wait_for_run() == "Done"
    researcher.open(run_page.replace("/hub/runs/", "/hub/dermbench/runs/"))
    assert "Accuracy" in researcher.text
    table = researcher.open(run_page.replace("/hub/runs/", "/hub/dermbench/runs/") + "records.csv").text
    rows = list(csv.DictReader(io.StringIO(table)))
    assert {row["state"] for row in rows} == {"scored"}
    right: dict[str, dict[str, float]] = defaultdict(dict)
    for row in (row for row in rows if row["skin_tone"] == "dark"):
        right[row["case"]][row["model"]] = float(float(row["accuracy"]) == 5)
    researcher.open("/hub/compare/")
    assert "<figure" in researcher.page.text or "<img" in researcher.page.text
    researcher.open("/dashboard/")
    return right


def paired_gain(right: dict[str, dict[str, float]]) -> tuple[float, float, float]:
    """Mean gain of the adapter over the base and its 95 % interval (normal, paired by case)."""
    base = next(name for name in next(iter(right.values())) if "tiny" in name and "·" not in name)
    gains = [next(value for name, value in models.items() if name != base) - models[base] for models in right.values()]
    mean, error = statistics.fmean(gains), statistics.stdev(gains) / len(gains) ** 0.5
    return mean, mean - 1.96 * error, mean + 1.96 * error
