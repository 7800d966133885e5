"""PAD-UFES-20: one case per lesion, one group per patient, bad records refused by name."""

import pytest

from scoring.importers.grouped_rows import rows_by_key
from scoring.models import Case, CaseGroup
from tests.factories import make_source
from tests.scoring.import_folders import make_pad, pad_row, reasons, run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def source():
    return make_source(name="Clinic")


def test_pad_ufes_20_gives_one_case_per_lesion_and_one_group_per_patient(tmp_path, source):
    rows = [
        pad_row(1, 11, 1),
        pad_row(2, 21, 1, diagnostic="NEV", biopsed="False", fitspatrick="", gender="", age="8", region="FACE"),
        pad_row(1, 11, 2),
        pad_row(1, 12, 3, diagnostic="SEK", biopsed="False"),
    ]
    report = run(make_pad(tmp_path / "pad", rows), source, format="pad-ufes-20")
    assert (report.created, report.refused) == (3, 0)
    case = Case.objects.get(source_key="PAT_1_11")
    assert (case.diagnosis, case.diagnosis_basis, case.images.count()) == ("basal cell carcinoma", "histopathology", 2)
    assert (case.age, case.sex, case.body_site, case.skin_tone, case.skin_tone_scale) == (
        55,
        "female",
        "forearm",
        "3",
        "Fitzpatrick",
    )
    nevus = Case.objects.get(source_key="PAT_2_21")
    assert (nevus.diagnosis, nevus.diagnosis_basis) == ("melanocytic nevus", "consensus")
    assert (nevus.sex, nevus.skin_tone, nevus.skin_tone_scale) == ("", "", "")
    assert sorted(CaseGroup.objects.values_list("key", flat=True)) == ["PAT_1", "PAT_2"]
    assert run(tmp_path / "pad", source, format="pad-ufes-20").already_there == 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"diagnostic": "XYZ"}, "diagnostic “XYZ” is none of ACK, BCC, MEL, NEV, SCC, SEK"),
        ({"fitspatrick": "0.0"}, "not a type from 1 to 6"),
        ({"fitspatrick": "2.5"}, "not a whole number"),
        ({"biopsed": "maybe"}, "biopsed “maybe” is none of"),
        ({"gender": "X"}, "gender “X”"),
        ({"lesion_id": ""}, "the column lesion_id is empty"),
    ],
)
def test_a_bad_pad_record_is_refused_by_name(tmp_path, source, changes, reason):
    make_pad(tmp_path / "pad", [pad_row(1, 11, 1), pad_row(2, 21, 1, **changes)])
    report = run(tmp_path / "pad", source, format="pad-ufes-20")
    assert report.created == 1
    (name,) = reasons(report)
    assert name.startswith("PAT_2_")
    assert reason in reasons(report)[name]


def test_pad_rows_of_a_lesion_that_disagree_are_refused(tmp_path, source):
    make_pad(tmp_path / "pad", [pad_row(1, 11, 1), pad_row(1, 11, 2, diagnostic="MEL")])
    report = run(tmp_path / "pad", source, format="pad-ufes-20")
    assert "disagree about diagnostic: BCC, MEL" in reasons(report)["PAT_1_11"]


def test_pad_without_its_images_says_what_to_unpack(tmp_path, source):
    make_pad(tmp_path / "pad", [pad_row(1, 11, 1)], folders=("elsewhere",))
    assert "unpack imgs_part_1.zip" in reasons(run(tmp_path / "pad", source, format="pad-ufes-20"))["metadata.csv"]


def test_pad_images_in_twice_unpacked_folders_are_found(tmp_path, source):
    make_pad(tmp_path / "pad", [pad_row(1, 11, 1)], folders=("images/imgs_part_1/imgs_part_1",))
    assert run(tmp_path / "pad", source, format="pad-ufes-20").created == 1


def test_rows_come_together_by_key_in_the_order_of_the_table():
    rows = [{"key": key, "n": str(n)} for n, key in enumerate("banana")]
    found = [(key, [row["n"] for row in group]) for key, group in rows_by_key(rows, lambda row: row["key"])]
    assert found == [("b", ["0"]), ("a", ["1", "3", "5"]), ("n", ["2", "4"])]
