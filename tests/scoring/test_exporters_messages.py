"""The reference trainer's schema: records, skin labels, rights and purposes."""

import hashlib
import json
from pathlib import Path

import pytest

from scoring.exporters.items import ExportError
from scoring.exporters.messages import RELEASE, TRAINING, write_messages
from scoring.models import Source
from scoring.services.datasets import DERMBENCH, DERMCOT, freeze_dataset
from scoring.skin_tone import three_levels
from tests.factories import NARRATIVE, make_administrator, make_case, make_rater, make_source, make_study, make_version
from tests.scoring.certified import certified_case, certify

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_study(overlap=1)


@pytest.fixture
def raters(study):
    return [make_rater(study)]


@pytest.fixture
def freeze(study):
    actor = make_administrator()
    return lambda kind=DERMCOT: freeze_dataset(kind=kind, study=study, actor=actor)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_record_reads_as_the_reference_trainer_expects(study, raters, freeze, tmp_path) -> None:
    case, _ = certified_case(study, raters, skin_tone="dark")
    report = write_messages(freeze(), tmp_path, purpose=TRAINING, prompt="What is it?")
    (record,) = lines(tmp_path / "train.jsonl")
    image = case.images.get()
    path = f"images/{image.public_id.hex}.png"
    assert record == {
        "messages": [
            {"role": "user", "content": "<image>What is it?"},
            {"role": "assistant", "content": NARRATIVE},
        ],
        "images": [path],
        "skin_labels": 2,
    }
    assert hashlib.sha256((tmp_path / path).read_bytes()).hexdigest() == image.sha256
    assert (report.records, report.images, report.skin_labels) == (1, 1, {0: 0, 1: 0, 2: 1})


def test_the_trainer_reads_the_folder(study, raters, freeze, tmp_path) -> None:
    train_data = pytest.importorskip("modelhub.ml.train_data")
    certified_case(study, raters, skin_tone="medium")
    certified_case(study, raters, skin_tone="", skin_tone_scale="")
    certified_case(study, raters, image=False)
    write_messages(freeze(), tmp_path, purpose=TRAINING)
    records = train_data.read_records(tmp_path)
    assert sorted((len(r.images), r.skin_label) for r in records if r.skin_label is not None) == [(0, 0), (1, 1)]
    assert [r.skin_label for r in records].count(None) == 1
    assert {r.answer for r in records} == {NARRATIVE}


def test_a_tone_without_a_mapping_has_no_label_and_is_counted(study, raters, freeze, tmp_path) -> None:
    certified_case(study, raters, skin_tone="6", skin_tone_scale="Monk")
    report = write_messages(freeze(), tmp_path, purpose=TRAINING)
    assert "skin_labels" not in lines(tmp_path / "train.jsonl")[0]
    assert (report.without_skin_label, report.skin_labels) == (1, {0: 0, 1: 0, 2: 0})


@pytest.mark.parametrize(
    ("tone", "scale", "label"),
    [
        ("light", "three-level", 0),
        ("Medium", "light/medium/dark", 1),
        ("brown", "three-level", None),
        ("I", "Fitzpatrick", 0),
        ("type II", "Fitzpatrick type", 0),
        ("3", "fitzpatrick", 1),
        ("IV", "Fitzpatrick", 1),
        ("56", "Fitzpatrick (DDI groups)", 2),
        ("VI", "Fitzpatrick", 2),
        ("-1", "Fitzpatrick", None),
        ("I/II", "Fitzpatrick", 0),
        ("III-IV", "Fitzpatrick", 1),
        ("7", "Fitzpatrick", None),
        ("light", "Monk", None),
        ("", "", None),
    ],
)
def test_scales_are_read_as_documented(tone, scale, label) -> None:
    assert three_levels(tone, scale) == label


def test_training_leaves_out_cases_whose_source_forbids_it(study, raters, freeze, tmp_path) -> None:
    private = make_source(may_train=False, name="Clinic archive")
    refused, _ = certified_case(study, raters, source=private)
    certified_case(study, raters)
    report = write_messages(freeze(), tmp_path, purpose=TRAINING)
    assert report.records == 1
    assert [(e.case, e.reason) for e in report.excluded] == [
        (str(refused.public_id), "the source “Clinic archive” does not allow training")
    ]


def test_training_with_nothing_left_says_why(study, raters, freeze, tmp_path) -> None:
    certified_case(study, raters, source=make_source(may_train=False, name="Clinic archive"))
    with pytest.raises(ExportError, match=r"Clinic archive.* does not allow training"):
        write_messages(freeze(), tmp_path, purpose=TRAINING)


def test_training_refuses_dermbench(study, raters, freeze, tmp_path) -> None:
    certified_case(study, raters, split="evaluation")
    with pytest.raises(ExportError, match="evaluation cases"):
        write_messages(freeze(DERMBENCH), tmp_path, purpose=TRAINING)
    assert not (tmp_path / "train.jsonl").exists()


def test_training_refuses_a_case_that_is_evaluation_by_now(study, raters, freeze, tmp_path) -> None:
    case, _ = certified_case(study, raters)
    certified_case(study, raters)
    dataset = freeze()
    type(case.group).objects.filter(pk=case.group_id).update(split="evaluation")
    report = write_messages(dataset, tmp_path, purpose=TRAINING)
    assert [e.case for e in report.excluded] == [str(case.public_id)]


def test_training_may_read_images_that_a_release_may_not_carry(study, raters, freeze, tmp_path) -> None:
    source = make_source(redistribute="block")
    certified_case(study, raters, source=source)
    dataset = freeze()
    assert write_messages(dataset, tmp_path / "train", purpose=TRAINING).images == 1
    with pytest.raises(ExportError, match="redistribution"):
        write_messages(dataset, tmp_path / "release", purpose=RELEASE)


def test_a_release_obeys_each_sources_right(study, raters, freeze, tmp_path) -> None:
    embed, _ = certified_case(study, raters, source=make_source(redistribute="embed", may_train=False))
    reference, _ = certified_case(study, raters, source=make_source(redistribute="reference"))
    block, _ = certified_case(study, raters, source=make_source(redistribute="block"))
    report = write_messages(freeze(), tmp_path, purpose=RELEASE)
    listed = {entry["path"]: entry for entry in lines(tmp_path / "images.jsonl")}
    files = [p.name for p in (tmp_path / "images").iterdir()]
    assert files == [f"{embed.images.get().public_id.hex}.png"]
    named = listed[f"images/{reference.images.get().public_id.hex}.png"]
    assert (named["included"], named["sha256"]) == (False, reference.images.get().sha256)
    assert [e.case for e in report.excluded] == [str(block.public_id)]
    assert (report.records, report.images, report.images_by_reference) == (2, 1, 1)
    everything = (tmp_path / "images.jsonl").read_text() + (tmp_path / "train.jsonl").read_text()
    assert block.images.get().public_id.hex not in everything
    assert reference.source_key not in everything


def test_a_right_withdrawn_after_freezing_is_obeyed(study, raters, freeze, tmp_path) -> None:
    case, _ = certified_case(study, raters)
    dataset = freeze()
    Source.objects.filter(pk=case.source_id).update(redistribute="reference", may_train=False)
    assert write_messages(dataset, tmp_path, purpose=RELEASE).images == 0
    with pytest.raises(ExportError, match="does not allow training"):
        write_messages(dataset, tmp_path / "again", purpose=TRAINING)


def test_two_narratives_of_a_case_share_its_image(study, raters, freeze, tmp_path) -> None:
    case, _ = certified_case(study, raters)
    certify(study, make_version(case=case, text=NARRATIVE.replace("oval", "round")), raters)
    report = write_messages(freeze(), tmp_path, purpose=TRAINING)
    assert (report.records, report.images) == (2, 1)


def test_without_image_files_the_paths_still_stand(study, raters, freeze, tmp_path) -> None:
    certified_case(study, raters)
    write_messages(freeze(), tmp_path, purpose=RELEASE, include_images=False)
    assert lines(tmp_path / "images.jsonl")[0]["included"] is False
    assert len(lines(tmp_path / "train.jsonl")[0]["images"]) == 1
    assert not list((tmp_path / "images").iterdir())


def test_a_changed_image_file_stops_the_export(study, raters, freeze, tmp_path) -> None:
    case, _ = certified_case(study, raters)
    dataset = freeze()
    Path(case.images.get().file.path).write_bytes(b"other")
    with pytest.raises(ExportError, match="has changed since it was frozen"):
        write_messages(dataset, tmp_path, purpose=TRAINING)
    Path(case.images.get().file.path).unlink()
    with pytest.raises(ExportError, match="cannot be read"):
        write_messages(dataset, tmp_path, purpose=TRAINING)


def test_image_marks_stand_only_where_images_are(study, raters, freeze, tmp_path) -> None:
    case = make_case()
    certify(study, make_version(case=case, text=NARRATIVE + " <image>"), raters)
    dataset = freeze()
    with pytest.raises(ExportError, match="contains <image>"):
        write_messages(dataset, tmp_path, purpose=TRAINING)
    with pytest.raises(ExportError, match="out of the prompt"):
        write_messages(dataset, tmp_path, purpose=TRAINING, prompt="<image> What?")
    with pytest.raises(ExportError, match="not for “fun”"):
        write_messages(dataset, tmp_path, purpose="fun")
