"""DermBench's published layout: imported whole, twice without duplicates; what is wrong is refused by name."""

import hashlib
import json
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command

from scoring.models import Case, CaseGroup, CaseImage, Narrative, NarrativeVersion, Source
from scoring.services.importing import import_cases
from tests.factories import make_source, png

pytestmark = pytest.mark.django_db
TEXT = "<think> 环形 plaques with silvery scale, case {}. </think><answer> Psoriasis. Review in four weeks. </answer>"


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def source():
    return make_source(name="DermNet", redistribute=Source.Redistribute.REFERENCE, may_train=False)


def record(number: int, **changes):
    text = changes.get("cot", TEXT.format(number))
    return {
        "id": f"dermbench-{number:05d}",
        "source": "DermNet",
        "split": "test",
        "category": "Psoriasis pictures",
        "diagnosis": "psoriasis",
        "dermnet_image_path": f"test/Psoriasis/psoriasis-{number}.png",
        "cot": text,
        "cot_sha256": hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest(),
    } | changes


def make_dermbench(root: Path, records, *, images: int = 6, under: str = "") -> Path:
    root.mkdir(exist_ok=True)
    lines = [
        one if isinstance(one, str) else json.dumps(one, ensure_ascii=bool(i % 2)) for i, one in enumerate(records)
    ]
    (root / "dermbench.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for number in range(images):
        path = root / under / "test" / "Psoriasis" / f"psoriasis-{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png((number * 20, 90, 90)))
    return root


def run(path: Path, source: Source):
    return import_cases(format="dermbench", path=path, source=source, actor=None)


def reasons(report) -> dict[str, str]:
    return {problem.name: problem.reason for problem in report.problems}


def counts():
    return Case.objects.count(), CaseImage.objects.count(), NarrativeVersion.objects.count()


@pytest.mark.parametrize("under", ["", "images"])
def test_the_whole_file_is_imported_with_its_texts(tmp_path, source, under):
    report = run(make_dermbench(tmp_path / "in", [record(n) for n in range(6)], under=under), source)
    assert (report.created, report.refused, report.problems) == (6, 0, [])
    assert counts() == (6, 6, 6)
    case = Case.objects.get(source_key="dermbench-00003")
    assert (case.diagnosis, case.diagnosis_basis, case.split) == ("psoriasis", "dataset_label", "evaluation")
    version = NarrativeVersion.objects.get(narrative__case=case)
    assert version.text == TEXT.format(3) and version.author_kind == "import" and version.diagnosis == "Psoriasis."
    assert version.sha256 == record(3)["cot_sha256"]
    assert CaseGroup.objects.count() == 6


def test_a_second_time_adds_nothing(tmp_path, source):
    root = make_dermbench(tmp_path / "in", [record(n) for n in range(6)])
    run(root, source)
    before = set(Narrative.objects.values_list("pk", flat=True))
    report = run(root, source)
    assert (report.created, report.already_there, report.refused) == (0, 6, 0)
    assert counts() == (6, 6, 6) and set(Narrative.objects.values_list("pk", flat=True)) == before


def test_missing_images_are_listed_and_their_cases_not_half_imported(tmp_path, source):
    root = make_dermbench(tmp_path / "in", [record(n) for n in range(6)], images=4)
    report = run(root, source)
    assert (report.created, report.refused) == (4, 2)
    found = reasons(report)
    assert set(found) == {"dermbench-00004", "dermbench-00005"}
    assert all("have to be supplied" in reason and "psoriasis-" in reason for reason in found.values())
    assert counts() == (4, 4, 4)
    make_dermbench(root, [record(n) for n in range(6)])
    assert run(root, source).created == 2 and counts() == (6, 6, 6)


BAD = {
    "a wrong checksum": (record(1, cot_sha256="0" * 64), "checksum that cot_sha256 states"),
    "a missing text": ({k: v for k, v in record(1).items() if k != "cot"}, "the field cot is missing"),
    "an empty diagnosis": (record(1, diagnosis=" "), "the field diagnosis is missing"),
    "a number as text": (record(1, category=7), "the field category is missing or no text"),
    "a training split": (record(1, split="train"), "split “train” is none of"),
    "not JSON": ('{"id": "x", ', "the line is not JSON"),
    "not an object": ("[1, 2]", "not a JSON object"),
    "half a character": (record(1, cot="x \ud800 y"), "half a character"),
    "a control character": (record(1, diagnosis="a\nb"), "control character"),
    "a way out of the folder": (record(1, dermnet_image_path="../../../etc/passwd"), "is not in the folder"),
    "an absolute path": (record(1, dermnet_image_path="/etc/passwd"), "is not in the folder"),
    "a bare file name of another folder": (record(1, dermnet_image_path="psoriasis-1.png"), "is not in the folder"),
    "a NUL in the text": (record(1, cot="a\x00b"), "NUL"),
    "a text that is too long": (record(1, cot="x" * 40_001), "longer than"),
    "a label that is too long": (record(1, diagnosis="x" * 300), "200"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_refused_by_name_and_the_rest_goes_on(tmp_path, source, name):
    bad, words = BAD[name]
    line = bad if isinstance(bad, str) else json.dumps(bad)
    report = run(make_dermbench(tmp_path / "in", [record(0), line, record(2)]), source)
    assert (report.created, report.refused) == (2, 1)
    assert words in report.problems[0].reason
    assert counts() == (2, 2, 2)
    files = [path for path in (tmp_path / "media").rglob("*") if path.is_file()]
    assert len(files) == 4  # two images and their thumbnails: nothing half-written


def test_one_id_twice_is_taken_once(tmp_path, source):
    again = record(1, dermnet_image_path="test/Psoriasis/psoriasis-2.png")
    report = run(make_dermbench(tmp_path / "in", [record(1), again]), source)
    assert (report.created, report.refused) == (1, 1) and "earlier line" in report.problems[0].reason


def test_one_image_for_two_cases_is_refused_with_the_others_name(tmp_path, source):
    two = record(2, dermnet_image_path="test/Psoriasis/psoriasis-1.png")
    report = run(make_dermbench(tmp_path / "in", [record(1), two]), source)
    assert (report.created, report.refused) == (1, 1) and "dermbench-00001" in report.problems[0].reason


def test_a_changed_text_of_a_case_that_is_here_is_refused(tmp_path, source):
    root = make_dermbench(tmp_path / "in", [record(1)])
    run(root, source)
    report = run(make_dermbench(root, [record(1, cot="Another text.")]), source)
    assert "Imported before with another text" in report.problems[0].reason
    assert NarrativeVersion.objects.get().text == TEXT.format(1)


def test_a_source_that_lets_images_travel_is_refused(tmp_path):
    open_source = make_source(redistribute=Source.Redistribute.EMBED)
    with pytest.raises(ValidationError, match="may not be redistributed"):
        run(make_dermbench(tmp_path / "in", [record(1)]), open_source)
    assert not Case.objects.exists()


def test_two_files_are_one_too_many(tmp_path, source):
    root = make_dermbench(tmp_path / "in", [record(1)])
    (root / "other.jsonl").write_text("{}\n")
    with pytest.raises(ValidationError, match=r"There are 2 files \*\.jsonl"):
        run(root, source)


def test_the_command_imports_it(tmp_path, source, capsys):
    root = make_dermbench(tmp_path / "in", [record(n) for n in range(2)])
    call_command("import_cases", str(root), source_name=source.name, format="dermbench")
    assert counts() == (2, 2, 2) and "2 cases imported" in capsys.readouterr().out
