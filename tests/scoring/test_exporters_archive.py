"""The downloadable archive: what is in it, what is not, and that it comes out the same twice."""

import hashlib
import io
import json
import subprocess
import zipfile

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from scoring.exporters.archive import write_archive
from scoring.exporters.items import ExportError, released_cases
from scoring.exporters.zip_stream import ZipStream
from scoring.models import Mark, OwnDiagnosis, Rating
from scoring.pseudonym import pseudonym
from scoring.rubric import DIMENSION_KEYS, rubric_hash
from scoring.services.datasets import DERMBENCH, DERMCOT, freeze_dataset
from tests.factories import make_administrator, make_rater, make_source, make_study
from tests.scoring.certified import certified_case

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_study(overlap=2)


@pytest.fixture
def raters(study):
    return [
        make_rater(study, username="grethe.holm", first_name="Grethe", last_name="Holm", email="grethe@clinic.example"),
        make_rater(study, username="li.wei", first_name="Weiming", last_name="Liangzhou"),
    ]


@pytest.fixture
def freeze(study):
    actor = make_administrator(username="chief.admin")
    return lambda kind=DERMCOT: freeze_dataset(kind=kind, study=study, actor=actor)


def exported(dataset, **options) -> tuple[zipfile.ZipFile, bytes]:
    buffer = io.BytesIO()
    write_archive(dataset, buffer, **options)
    return zipfile.ZipFile(buffer), buffer.getvalue()


def rows(archive: zipfile.ZipFile, name: str) -> list[dict]:
    return [json.loads(line) for line in archive.read(name).decode().splitlines()]


def test_twice_exported_it_is_the_same_to_the_byte(study, raters, freeze, tmp_path) -> None:
    for _ in range(3):
        certified_case(study, raters)
    dataset = freeze()
    _, first = exported(dataset)
    path = tmp_path / "second.zip"
    with path.open("wb") as target:
        report = write_archive(dataset, target)
    assert path.read_bytes() == first
    assert report.sha256 == hashlib.sha256(first).hexdigest()
    assert report.size == len(first)


def test_queries_do_not_grow_with_the_narratives(study, raters, freeze) -> None:
    counts = []
    for more in (1, 3):
        for _ in range(more):
            case, certification = certified_case(study, raters)
            rating = certification.ratings.get(rater=raters[0])
            Mark.objects.create(rating=rating, step=1, verdict="ok")
            hers = {"assignment": rating.assignment, "diagnosis": "Eczema", "confidence": "certain"}
            OwnDiagnosis.objects.create(study=study, case=case, rater=raters[0], **hers)
        dataset = freeze()
        with CaptureQueriesContext(connection) as asked:
            archive, _ = exported(dataset)
        counts.append(len(asked))
    assert len(rows(archive, "step_labels.jsonl")) == 4
    assert sum(row["own_diagnosis"] is not None for row in rows(archive, "ratings.jsonl")) == 4
    assert counts[0] == counts[1]


def test_checksums_fit_as_sha256sum_reads_them(study, raters, freeze, tmp_path) -> None:
    certified_case(study, raters)
    archive, _ = exported(freeze(), extra_files=[("candidates.jsonl", b'{"a": 1}\n')])
    archive.extractall(tmp_path)
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=tmp_path, check=True, capture_output=True)
    listed = {line.split("  ")[1] for line in (tmp_path / "SHA256SUMS").read_text().splitlines()}
    assert listed == {name for name in archive.namelist() if name != "SHA256SUMS"}
    assert "candidates.jsonl" in json.loads(archive.read("manifest.json"))["files"]
    assert archive.testzip() is None


def test_nothing_in_it_names_a_person(study, raters, freeze) -> None:
    case, certification = certified_case(study, raters)
    Rating.objects.update(comment="Ask Grethe Holm")
    archive, _ = exported(freeze())
    names = [
        "grethe",
        "holm",
        "li.wei",
        "chief.admin",
        "clinic.example",
        case.source_key,
        *(str(r.public_id) for r in raters),
    ]
    for member in archive.namelist():
        content = archive.read(member).decode("utf-8", "replace").lower()
        assert [name for name in names if name.lower() in content] == []
    assert str(certification.version.public_id) in archive.read("records.jsonl").decode()


def test_ratings_are_there_under_stable_pseudonyms(study, raters, freeze) -> None:
    certified_case(study, raters)
    certified_case(study, raters)
    archive, _ = exported(freeze())
    ratings = rows(archive, "ratings.jsonl")
    assert len(ratings) == 4
    assert {r["rater"] for r in ratings} == {pseudonym(study.public_id, r.public_id) for r in raters}
    assert all(set(r["scores"]) == set(DIMENSION_KEYS) and r["rubric"] == rubric_hash() for r in ratings)
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["counts"]["raters"] == 2
    assert manifest["rubrics"] == [rubric_hash()]


def test_a_rater_has_another_pseudonym_in_another_study(study, raters) -> None:
    other = make_study()
    here = pseudonym(study.public_id, raters[0].public_id)
    assert here == pseudonym(study.public_id, raters[0].public_id)
    assert here != pseudonym(other.public_id, raters[0].public_id)
    assert here != pseudonym(study.public_id, raters[1].public_id)


def test_simulated_ratings_say_so(study, raters, freeze) -> None:
    certified_case(study, raters)
    Rating.objects.filter(rater=raters[0]).update(simulated=True)
    archive, _ = exported(freeze())
    assert sorted(r["simulated"] for r in rows(archive, "ratings.jsonl")) == [False, True]
    assert "1 of them simulated" in archive.read("README.md").decode()


def test_rights_decide_what_travels(study, raters, freeze) -> None:
    embed, _ = certified_case(study, raters, source=make_source(redistribute="embed"))
    reference, _ = certified_case(study, raters, source=make_source(redistribute="reference"))
    block, blocked = certified_case(study, raters, source=make_source(redistribute="block", name="Closed archive"))
    dataset = freeze()
    archive, _ = exported(dataset)
    assert [n for n in archive.namelist() if n.startswith("images/")] == [
        f"images/{embed.images.get().public_id.hex}.png"
    ]
    included = {r["sha256"]: r["included"] for r in rows(archive, "images.jsonl")}
    assert included == {embed.images.get().sha256: True, reference.images.get().sha256: False}
    for name in ("train.jsonl", "records.jsonl", "ratings.jsonl", "images.jsonl"):
        assert str(block.public_id) not in archive.read(name).decode()
        assert str(blocked.version.public_id) not in archive.read(name).decode()
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["excluded"] == [
        {"case": str(block.public_id), "reason": "the source “Closed archive” does not allow redistribution"}
    ]
    assert (manifest["frozen_items"], manifest["counts"]["records"]) == (3, 2)
    assert released_cases(dataset) == {str(embed.public_id), str(reference.public_id)}


def test_a_dataset_that_is_blocked_throughout_is_refused(study, raters, freeze) -> None:
    certified_case(study, raters, source=make_source(redistribute="block"))
    buffer = io.BytesIO()
    with pytest.raises(ExportError, match="Every case of DermCoT v1 is blocked"):
        write_archive(freeze(), buffer)
    assert not zipfile.is_zipfile(buffer)


def test_dermbench_has_the_published_layout(study, raters, freeze) -> None:
    case, certification = certified_case(study, raters, split="evaluation", diagnosis="melanoma")
    dataset = freeze(DERMBENCH)
    archive, _ = exported(dataset)
    (row,) = rows(archive, "dermbench.jsonl")
    path = f"images/{case.images.get().public_id.hex}.png"
    assert row == {
        "id": str(case.public_id),
        "source": case.source.name,
        "split": "evaluation",
        "category": None,
        "diagnosis": "melanoma",
        "dermnet_image_path": path,
        "images": [path],
        "cot": certification.version.text,
        "cot_sha256": hashlib.sha256(certification.version.text.encode()).hexdigest(),
    }
    assert hashlib.sha256(archive.read(path)).hexdigest() == case.images.get().sha256
    assert "must not be used for training" in archive.read("README.md").decode()


def test_the_manifest_states_hashes_policy_and_counts(study, raters, freeze) -> None:
    certified_case(study, raters, skin_tone="III", skin_tone_scale="Fitzpatrick")
    dataset = freeze()
    archive, _ = exported(dataset, prompt="What is it?")
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["content_hash"] == dataset.content_hash
    assert manifest["study"]["protocol_hashes"] == [study.protocol_hash]
    assert manifest["policies"] == [{"content_hash": study.policy.content_hash, "settings": study.policy.settings}]
    assert manifest["prompt"] == "What is it?"
    assert manifest["skin_tones"] == [{"scale": "Fitzpatrick", "tone": "III", "records": 1}]
    assert manifest["skin_labels"] == {"1": 1}
    assert "Research use only" in archive.read("README.md").decode()
    assert json.loads(archive.read("rubric.json"))[rubric_hash()]["dimensions"][0]["key"] == "accuracy"


def test_a_changed_file_leaves_no_archive_behind(study, raters, freeze) -> None:
    case, _ = certified_case(study, raters)
    dataset = freeze()
    with open(case.images.get().file.path, "ab") as stream:
        stream.write(b"x")
    buffer = io.BytesIO()
    with pytest.raises(ExportError, match="has changed"):
        write_archive(dataset, buffer)
    assert not zipfile.is_zipfile(buffer)


@pytest.mark.parametrize("name", ["../x", "/x", "a/../b", "a\\b", "", "a//b", "./a"])
def test_unsafe_names_are_refused(name) -> None:
    with ZipStream(io.BytesIO()) as archive, pytest.raises(ExportError, match="plain relative"):
        archive.add(name, b"")


def test_a_name_is_used_once(study, raters, freeze) -> None:
    certified_case(study, raters)
    with pytest.raises(ExportError, match="already holds"):
        exported(freeze(), extra_files=[("train.jsonl", b"")])
