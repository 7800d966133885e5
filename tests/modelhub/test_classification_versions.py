"""A classification version's page and its archive: what is in it, by which right, and what was answered on it."""

import csv
import hashlib
import io
import json
import zipfile

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from modelhub.jobs.base import run_job
from modelhub.models import Run
from modelhub.services.benchmarks import CLOSED, request_benchmark
from modelhub.services.exports import request_export
from modelhub.services.training import check_dataset
from modelhub.views.benchmark_csv import LABELLED_HEADER
from scoring.digest import content_hash
from scoring.exporters.items import released_cases
from scoring.models import Case, LabelledCase, Reveal, Source
from tests.factories import make_administrator, make_rater, make_researcher, make_study
from tests.modelhub.checkpoints import make_base
from tests.modelhub.classifications import finished, make_labelled, written

pytestmark = pytest.mark.django_db


def archive_of(dataset) -> zipfile.ZipFile:
    run = finished(request_export(dataset=dataset, actor=None))
    assert run.state == "succeeded", run.error
    return zipfile.ZipFile(io.BytesIO(run.artifacts.get().file.read()))


def lines(archive: zipfile.ZipFile, name: str) -> list[dict]:
    return [json.loads(line) for line in archive.read(name).splitlines()]


def detail(dataset) -> str:
    return reverse("modelhub:dataset_detail", args=[dataset.public_id])


@pytest.fixture
def admin(client):
    user = make_administrator()
    client.force_login(user)
    return user


class TestArchive:
    def test_the_frozen_set_with_labels_images_manifest_and_checksums(self):
        dataset = make_labelled(skin_tone="VI", skin_tone_scale="fitzpatrick")
        Source.objects.update(redistribute="embed")
        Case.objects.update(diagnosis="tinea")  # after the freeze
        archive = archive_of(dataset)
        cases = lines(archive, "classification.jsonl")
        assert [one["label"] for one in cases] == [item.label for item in dataset.labelled.order_by("position")]
        assert {(one["skin_tone"], one["skin_tone_scale"], one["split"]) for one in cases} == {
            ("VI", "fitzpatrick", "evaluation")
        }
        assert content_hash(lines(archive, "records.jsonl")) == dataset.content_hash
        assert all(path in archive.namelist() for one in cases for path in one["images"])
        manifest = json.loads(archive.read("manifest.json"))
        assert manifest["labels"] == {"eczema": 2, "melanoma": 1, "psoriasis": 1}
        assert manifest["rule"] == {"words": dataset.rule, "content_hash": dataset.rule_hash}
        assert (manifest["counts"]["records"], manifest["counts"]["images_included"]) == (4, 4)
        for line in archive.read("SHA256SUMS").decode().splitlines():
            digest, name = line.split("  ")
            assert hashlib.sha256(archive.read(name)).hexdigest() == digest
        assert "must not be used for training" in archive.read("README.md").decode()

    def test_what_models_answered_is_in_it_with_what_was_read(self):
        dataset = make_labelled()
        run, benchmark = written(
            dataset, CLOSED, {"First": ["Eczema.", "Eczema or melanoma.", "Eczema.", "Psoriasis."]}
        )
        finished(run)
        archive = archive_of(dataset)
        place = {str(case.public_id): case.pk for case in Case.objects.all()}
        rows = sorted(lines(archive, "runs/1/candidates.jsonl"), key=lambda row: place[row["case"]])
        assert [row["scores"] for row in rows] == [None] * 4
        read = [(row["state"], row["diagnosis_right"], row["diagnosis_note"]) for row in rows]
        wanted = [("scored", True, "eczema"), ("failed", None, None), ("scored", False, "eczema")]
        assert read == [*wanted, ("scored", True, "psoriasis")]
        assert {row["stated_diagnosis"] for row in rows} >= {"Eczema or melanoma."}
        stored = json.loads(archive.read("runs/1/results.json"))
        assert stored["manifest"] == benchmark.manifest and stored["results"]["models"][0]["expected"] == 4
        assert "runs/1/candidates.jsonl" in json.loads(archive.read("manifest.json"))["files"]

    def test_the_same_version_gives_the_same_bytes(self):
        dataset = make_labelled()
        first, second = (finished(request_export(dataset=dataset, actor=None)).artifacts.get() for _ in range(2))
        assert first.sha256 == second.sha256 and first.name == "classification-v1.zip"

    def test_pictures_named_only_do_not_travel(self):
        dataset = make_labelled()
        Source.objects.update(redistribute="reference")
        archive = archive_of(dataset)
        assert not [name for name in archive.namelist() if name.startswith("images/")]
        assert {one["included"] for one in lines(archive, "images.jsonl")} == {False}

    def test_a_blocked_source_leaves_nothing(self):
        dataset = make_labelled()
        Source.objects.update(redistribute="block")
        run = finished(request_export(dataset=dataset, actor=None))
        assert run.state == "failed" and "blocked from export" in run.error
        assert released_cases(dataset) == frozenset()

    def test_records_that_are_not_what_was_frozen_are_refused(self):
        dataset = make_labelled()
        item = dataset.labelled.order_by("position").first()
        LabelledCase.objects.filter(pk=item.pk).update(record=item.record | {"diagnosis": "tinea"})
        run = finished(request_export(dataset=dataset, actor=None))
        assert run.state == "failed" and "not what was frozen" in run.error


class TestRecords:
    def test_the_frozen_label_stands_beside_what_was_answered(self, client, admin):
        run, _ = written(make_labelled(), CLOSED, {"First": ["Eczema.", "Eczema.", "Melanoma.", "No idea."]})
        finished(run)
        Case.objects.update(diagnosis="tinea")
        response = client.get(reverse("modelhub:benchmark_records", args=[run.public_id]))
        rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
        assert tuple(rows[0]) == LABELLED_HEADER and "safety" not in rows[0]
        assert [(row["reference_diagnosis"], row["diagnosis_right"], row["state"]) for row in rows] == [
            ("eczema", "True", "scored"),
            ("eczema", "True", "scored"),
            ("melanoma", "True", "scored"),
            ("psoriasis", "", "failed"),
        ]


class TestPage:
    def test_what_is_in_it_and_the_runs_on_it(self, client, admin):
        dataset = make_labelled(skin_tone="VI", skin_tone_scale="fitzpatrick")
        run, _ = written(dataset, CLOSED, {"First": ["Eczema.", "Eczema.", "Melanoma.", "Eczema."]})
        finished(run)
        response = client.get(detail(dataset))
        html = response.content.decode()
        assert dataset.content_hash in html and dataset.rule in html and "fitzpatrick" in html
        table = response.context["crosstab"]
        assert {label: total for label, _cells, total in table.rows} == {"eczema": 2, "melanoma": 1, "psoriasis": 1}
        assert response.context["majority"] == 0.5 and "eczema: 50.0 % right" in html
        (row,) = response.context["rows"]
        assert row["figures"][0]["of_judged"].mean == 75
        assert Reveal.objects.filter(rater=admin).count() == 4  # the labels are named on the page

    def test_an_export_is_asked_for_and_offered(self, client):
        client.force_login(make_researcher())
        dataset = make_labelled()
        client.post(reverse("modelhub:dataset_export", args=[dataset.public_id]))
        run = Run.objects.get(kind=Run.Kind.EXPORT)
        run_job(run.pk)
        assert "classification-v1.zip" in client.get(detail(dataset)).content.decode()

    def test_nobody_trains_on_it_and_raters_stay_outside(self, client, admin):
        dataset = make_labelled()
        with pytest.raises(ValidationError, match="training never reads"):
            check_dataset(dataset)
        assert client.get(reverse("modelhub:retrain", args=[dataset.public_id])).status_code == 404
        client.force_login(make_rater(make_study()))
        assert client.get(detail(dataset)).status_code == 403

    def test_more_cases_and_runs_cost_no_more_queries(self, client, admin):
        def asked(dataset) -> int:
            client.get(detail(dataset))  # what is revealed is written once
            with CaptureQueriesContext(connection) as queries:
                assert client.get(detail(dataset)).status_code == 200
            return len(queries)

        model, many = make_base(), ("eczema", "psoriasis", "melanoma", "tinea", "acne") * 2
        few, more = make_labelled(("eczema", "psoriasis")), make_labelled(many)
        request_benchmark(dataset=few, models=[model], evaluator=CLOSED, actor=None)
        for _ in range(3):
            request_benchmark(dataset=more, models=[model], evaluator=CLOSED, actor=None)
        assert asked(few) == asked(more)
