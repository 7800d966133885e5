"""Importing folders: what is right goes in, what is wrong is refused by name."""

import pytest
from django.core.exceptions import ValidationError

from scoring.models import AuditEvent, Case, CaseGroup, CaseImage, Source, Split
from tests.factories import make_source
from tests.scoring.import_folders import COLUMNS, make_folder, reasons, row, run
from tests.scoring.photographs import MARKERS, planted_jpeg, planted_png

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def source():
    return make_source(name="Clinic")


def test_a_folder_is_imported_with_all_that_it_states(tmp_path, source):
    stated = {
        "images": "a.png; sub/b.png",
        "split": "evaluation",
        "age": "54.0",
        "sex": "F",
        "body_site": "forearm",
        "skin_tone": "V",
        "skin_tone_scale": "Fitzpatrick",
        "basis": "consensus",
    }
    make_folder(tmp_path / "set", [row(1, **stated | {"images": "a.png;sub/b.png"}), row(2)])
    report = run(tmp_path / "set", source)
    assert (report.created, report.already_there, report.refused, report.stopped) == (2, 0, 0, False)
    case = Case.objects.get(source_key="case-1")
    found = (
        case.diagnosis,
        case.diagnosis_basis,
        case.age,
        case.sex,
        case.body_site,
        case.skin_tone,
        case.skin_tone_scale,
    )
    assert found == ("melanoma", "consensus", 54, "female", "forearm", "V", "Fitzpatrick")
    assert (case.group.key, case.split, case.images.count()) == ("patient-1", "evaluation", 2)
    bare = Case.objects.get(source_key="case-2")
    assert (bare.age, bare.sex, bare.skin_tone, bare.skin_tone_scale) == (None, "", "", "")
    assert AuditEvent.objects.filter(action="cases.imported").count() == 1


def test_importing_again_makes_no_duplicates(tmp_path, source):
    folder = make_folder(tmp_path / "set", [row(number) for number in range(5)])
    run(folder, source)
    files = sorted(path.name for path in (tmp_path / "media").rglob("*.*"))
    report = run(folder, source)
    assert (report.created, report.already_there, report.refused) == (0, 5, 0)
    assert (Case.objects.count(), CaseImage.objects.count()) == (5, 5)
    assert sorted(path.name for path in (tmp_path / "media").rglob("*.*")) == files


def test_a_stored_case_that_the_table_now_states_otherwise_is_named_and_left(tmp_path, source):
    run(make_folder(tmp_path / "set", [row(1), row(2)]), source)
    report = run(make_folder(tmp_path / "set", [row(1, diagnosis="nevus"), row(2, images="2.png;2b.png")]), source)
    assert "another reference diagnosis" in reasons(report)["case-1"]
    assert "another number of images" in reasons(report)["case-2"]
    assert Case.objects.get(source_key="case-1").diagnosis == "melanoma"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"images": "missing.jpg"}, "image “missing.jpg” is not in the folder"),
        ({"images": "../outside.png"}, "image “../outside.png” is not in the folder"),
        ({"images": "/etc/passwd"}, "is not in the folder"),
        ({"images": "link.png"}, "is not in the folder"),
        ({"images": "broken.jpg"}, "Image “broken.jpg” is refused: it is truncated"),
        ({"images": "1.png"}, "same file as an image of “case-1”"),
        ({"images": " ; "}, "names no file"),
        ({"images": ""}, "the column images is empty"),
        ({"diagnosis": ""}, "the column diagnosis is empty"),
        ({"basis": ""}, "the column basis is empty"),
        ({"basis": "biopsy"}, "basis “biopsy” is none of histopathology"),
        ({"split": "test"}, "split “test” is none of training, evaluation"),
        ({"age": "fifty"}, "age “fifty” is not a whole number"),
        ({"age": "54.5"}, "age “54.5” is not a whole number"),
        ({"age": "nan"}, "age “nan” is not a whole number"),
        ({"age": "400"}, "not believable"),
        ({"sex": "x"}, "sex “x” is none of female, male, other"),
        ({"skin_tone": "5"}, "names no scale"),
        ({"diagnosis": "mela\x00noma"}, "control character"),
        ({"diagnosis": "x" * 300}, "at most 200 characters"),
        ({"group": "patient-1", "split": "evaluation"}, "Group “patient-1” is in the training split"),
    ],
)
def test_a_bad_record_is_refused_by_name_and_the_others_go_in(tmp_path, source, changes, reason):
    (tmp_path / "outside.png").write_bytes(planted_png())
    folder = make_folder(tmp_path / "set", [row(1, split="training"), row(2, **changes), row(3)])
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (folder / "link.png").unlink(missing_ok=True)
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    report = run(folder, source)
    assert list(reasons(report)) == ["case-2"]
    assert reason in reasons(report)["case-2"]
    assert sorted(Case.objects.values_list("source_key", flat=True)) == ["case-1", "case-3"]
    assert CaseImage.objects.count() == 2


def test_a_scale_without_a_tone_is_an_unknown_tone(tmp_path, source):
    report = run(make_folder(tmp_path / "set", [row(1, skin_tone_scale="Fitzpatrick")]), source)
    assert report.created == 1
    assert Case.objects.get().skin_tone_scale == ""


def test_a_row_cut_up_by_a_comma_is_refused(tmp_path, source):
    folder = make_folder(tmp_path / "set", [row(1)], columns=COLUMNS[:5])
    with (folder / "cases.csv").open("a") as stream:
        stream.write("case-2,1.png,nevus, compound,histopathology,patient-2\n")
    assert "more cells than the table has columns" in reasons(run(folder, source))["case-2"]


def test_unknown_columns_are_told(tmp_path, source):
    report = run(make_folder(tmp_path / "set", [row(1, skin_ton="5")], columns=(*COLUMNS, "skin_ton")), source)
    assert "skin_ton is not known" in reasons(report)["cases.csv"]
    assert report.created == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"case_id,images\n1,1.png\n", "lacks the column basis, diagnosis"),
        (b"", "lacks the column"),
        ("case_id,images,diagnosis,basis\n1,1.png,Naevus für Ärzte,consensus\n".encode("latin-1"), "not UTF-8"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_whole(tmp_path, source, content, sentence):
    (tmp_path / "cases.csv").write_bytes(content)
    with pytest.raises(ValidationError, match=sentence):
        run(tmp_path, source)


def test_a_folder_without_its_table_is_refused(tmp_path, source):
    with pytest.raises(ValidationError, match=r"There is no cases\.csv in this folder"):
        run(tmp_path, source)
    make_folder(tmp_path / "one", [row(1)])
    make_folder(tmp_path / "two", [row(2)])
    with pytest.raises(ValidationError, match="There are 2 files"):
        run(tmp_path, source)


def test_the_table_may_lie_in_the_only_folder_below(tmp_path, source):
    make_folder(tmp_path / "unpacked" / "set", [row(1)])
    assert run(tmp_path / "unpacked", source).created == 1


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path, source):
    folder = make_folder(tmp_path / "set", [row(1)])
    table = folder / "cases.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    assert run(folder, source).created == 1


def test_splits_follow_the_group_and_are_the_same_everywhere(tmp_path):
    rows = [row(number, group=f"patient-{number // 3}") for number in range(150)]
    folder = make_folder(tmp_path / "set", rows)
    first, second = make_source(name="Same name"), make_source(name="To be renamed")
    run(folder, first, evaluation_share=0.3)
    splits = dict(CaseGroup.objects.filter(source=first).values_list("key", "split"))
    assert len(splits) == 50
    assert 5 <= sum(split == Split.EVALUATION for split in splits.values()) <= 25
    Source.objects.filter(pk=first.pk).update(name="Renamed")
    Source.objects.filter(pk=second.pk).update(name="Same name")
    second.refresh_from_db()
    run(folder, second, evaluation_share=0.3)
    assert dict(CaseGroup.objects.filter(source=second).values_list("key", "split")) == splits


@pytest.mark.parametrize(("share", "split"), [(0, Split.TRAINING), (1, Split.EVALUATION)])
def test_the_share_holds_at_its_ends(tmp_path, source, share, split):
    run(make_folder(tmp_path / "set", [row(number) for number in range(20)]), source, evaluation_share=share)
    assert set(CaseGroup.objects.values_list("split", flat=True)) == {split}


def test_a_later_import_keeps_a_groups_split(tmp_path, source):
    run(make_folder(tmp_path / "one", [row(1, group="P", split="evaluation")]), source)
    run(make_folder(tmp_path / "two", [row(2, group="P")]), source, evaluation_share=0)
    assert [case.split for case in Case.objects.select_related("group")] == ["evaluation", "evaluation"]


def test_it_stops_when_asked_and_goes_on_later(tmp_path, source):
    folder = make_folder(tmp_path / "set", [row(number) for number in range(6)])
    seen = []
    report = run(
        folder, source, progress=lambda done, total: seen.append((done, total)), should_stop=lambda: len(seen) == 2
    )
    assert (report.created, report.stopped, seen) == (2, True, [(1, 6), (2, 6)])
    assert run(folder, source).created == 4


def test_real_photographs_come_out_clean(tmp_path, source):
    folder = make_folder(tmp_path / "set", [row(1, images="retina.jpg;cell.png")])
    (folder / "retina.jpg").write_bytes(planted_jpeg(orientation=6))
    (folder / "cell.png").write_bytes(planted_png())
    assert run(folder, source).created == 1
    stored = b"".join(path.read_bytes() for path in (tmp_path / "media").rglob("*.*"))
    assert [name for name, marker in MARKERS.items() if marker in stored] == []
