"""The import page asks, a worker does; archives are treated as hostile."""

import io
import os
import stat
import zipfile
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from modelhub.models import Run
from modelhub.services.imports import discard_old_uploads
from modelhub.tasks import run_on_default
from scoring.importers import archive as archives
from scoring.importers.archive import ArchiveRefused, check_archive, unpack_archive
from scoring.models import Case, Source
from tests.factories import make_administrator, make_source
from tests.scoring.import_folders import make_folder, row
from tests.scoring.photographs import MARKERS, planted_jpeg

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def places(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.IMPORT_ROOT = tmp_path / "imports"


@pytest.fixture
def admin(client):
    client.force_login(make_administrator())
    return client


def packed(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder.parent))
    return buffer.getvalue()


def zip_of(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer


def ask(client, **changes):
    values = {"format": "folder", "evaluation_percent": 0, "source": "", "folder": ""}
    new = {"name": "Clinic", "licence": "CC0", "basis": "Ethics 1/2", "redistribute": "reference"}
    return client.post(reverse("cases:import"), values | new | changes)


def upload(content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("cases.zip", content, "application/zip")


def waiting_files(settings) -> list[str]:
    return [path.name for path in (settings.MEDIA_ROOT / "uploads").rglob("*")]


def test_an_uploaded_archive_is_imported_by_the_worker(admin, tmp_path, settings):
    folder = make_folder(tmp_path / "set", [row(1, images="photo.jpg"), row(2), row(3, images="missing.png", age="x")])
    (folder / "photo.jpg").write_bytes(planted_jpeg())
    (folder / "missing.png").unlink()
    response = ask(admin, archive=upload(packed(folder)), may_train="on")

    run = Run.objects.get()
    assert response.status_code == 302
    assert response["Location"] == reverse("modelhub:run_detail", args=[run.public_id])
    assert not Case.objects.exists()  # the request did none of the work
    assert len(waiting_files(settings)) == 1

    run_on_default(run.pk)
    run.refresh_from_db()
    assert (run.state, run.error) == ("succeeded", "")
    assert run.message == "2 cases imported, 0 were already here, 1 refused."
    assert (run.progress_done, run.progress_total) == (3, 3)
    assert Case.objects.count() == 2
    source = Source.objects.get()
    assert (source.may_train, source.may_leave_site, source.redistribute) == (True, False, "reference")
    assert waiting_files(settings) == []
    stored = b"".join(path.read_bytes() for path in settings.MEDIA_ROOT.rglob("*.*"))
    assert not any(marker in stored for marker in MARKERS.values())
    page = admin.get(response["Location"]).content.decode()
    assert "case-3" in page
    assert "image “missing.png” is not in the folder" in page


def test_a_folder_on_the_server_is_imported_and_stays(admin, settings):
    folder = make_folder(settings.IMPORT_ROOT / "clinic-a", [row(1), row(2)])
    source = make_source(name="Existing")
    assert "clinic-a" in admin.get(reverse("cases:import")).content.decode()
    assert ask(admin, folder="clinic-a", source=source.pk, name="", licence="", basis="").status_code == 302
    run = Run.objects.get()
    run_on_default(run.pk)
    assert Case.objects.filter(source=source).count() == 2
    assert (folder / "cases.csv").is_file()
    assert Source.objects.count() == 1


def test_a_second_attempt_goes_on_with_what_is_missing(admin, settings):
    folder = make_folder(settings.IMPORT_ROOT / "set", [row(1), row(2)])
    ask(admin, folder="set")
    run = Run.objects.get()
    run_on_default(run.pk)
    make_folder(folder, [row(1), row(2), row(3)])
    Run.objects.filter(pk=run.pk).update(state="queued")
    run_on_default(run.pk)
    run.refresh_from_db()
    assert run.message == "1 cases imported, 2 were already here, 0 refused."
    assert Case.objects.count() == 3


def test_a_cancelled_import_keeps_what_is_stored(admin, settings, monkeypatch):
    make_folder(settings.IMPORT_ROOT / "set", [row(number) for number in range(5)])
    ask(admin, folder="set")
    run = Run.objects.get()
    asked = iter([False, False, True])
    monkeypatch.setattr("modelhub.jobs.base.RunContext.should_stop", lambda self: next(asked))
    run_on_default(run.pk)
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert Case.objects.count() == 2
    assert run.plan["report"]["cases imported"] == 2


def test_an_import_in_which_everything_is_refused_fails_and_says_the_first_reason(admin, settings):
    make_folder(settings.IMPORT_ROOT / "set", [row(1, basis="guess"), row(2, basis="guess")])
    ask(admin, folder="set")
    run = Run.objects.get()
    run_on_default(run.pk)
    run.refresh_from_db()
    assert run.state == "failed"
    assert "No case could be imported. The first reason: case-1: basis “guess” is none of" in run.error


def test_an_archive_without_a_table_fails_and_goes(admin, tmp_path, settings):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "notes.txt").write_text("nothing")
    ask(admin, archive=upload(packed(tmp_path / "set")))
    run = Run.objects.get()
    run_on_default(run.pk)
    run.refresh_from_db()
    assert run.state == "failed"
    assert "There is no cases.csv in this folder. Expected: cases.csv (UTF-8)" in run.error
    assert waiting_files(settings) == []


def test_archives_that_no_run_awaits_go_after_a_day(admin, tmp_path, settings):
    content = packed(make_folder(tmp_path / "set", [row(1)]))
    ask(admin, archive=upload(content), name="One")
    ask(admin, archive=upload(content), name="Two")
    cancelled, awaited = Run.objects.order_by("pk")
    Run.objects.filter(pk=cancelled.pk).update(state="cancelled")
    assert discard_old_uploads() == 0  # it may be tried again today
    for path in (settings.MEDIA_ROOT / "uploads").iterdir():
        os.utime(path, (0, 0))
    assert discard_old_uploads() == 1
    assert waiting_files(settings) == [awaited.plan["archive"]]
    Run.objects.filter(pk=cancelled.pk).update(state="queued")
    run_on_default(cancelled.pk)
    cancelled.refresh_from_db()
    assert cancelled.error == "The uploaded archive is gone. Upload it again."


def test_a_folder_that_has_gone_is_told_in_words(admin, settings):
    folder = make_folder(settings.IMPORT_ROOT / "set", [row(1)])
    ask(admin, folder="set")
    folder.rename(folder.with_name("other"))
    run = Run.objects.get()
    run_on_default(run.pk)
    run.refresh_from_db()
    assert run.error == "The folder “set” is no longer on the server."


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "Choose a ZIP archive to upload, or a folder on the server."),
        ({"folder": "set", "archive": "zip"}, "Choose an archive or a folder, not both."),
        ({"folder": "../secret"}, "Select a valid choice"),
        ({"folder": "nowhere"}, "Select a valid choice"),
        ({"folder": "set", "format": "guess"}, "Select a valid choice"),
        ({"folder": "set", "name": ""}, "A new source needs this."),
        ({"folder": "set", "name": "Taken"}, "Source with this Name already exists."),
        ({"folder": "set", "evaluation_percent": 120}, "less than or equal to 100"),
        ({"archive": "junk"}, "This is not a ZIP archive"),
    ],
)
def test_what_cannot_be_imported_is_refused_on_the_page(admin, settings, changes, sentence):
    make_folder(settings.IMPORT_ROOT / "set", [row(1)])
    make_source(name="Taken")
    if "archive" in changes:
        content = packed(settings.IMPORT_ROOT / "set") if changes["archive"] == "zip" else b"no archive"
        changes = changes | {"archive": upload(content)}
    response = ask(admin, **changes)
    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert not Run.objects.exists()
    assert Source.objects.count() == 1
    assert waiting_files(settings) == []


def link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("link.png")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def encrypted() -> io.BytesIO:
    data = bytearray(zip_of(("cases.csv", b"a")).getvalue())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    return io.BytesIO(bytes(data))


HOSTILE = {
    "path upwards": (lambda: zip_of(("../../evil.png", b"x")), "outside its folder"),
    "path upwards inside": (lambda: zip_of(("a/../../evil.png", b"x")), "outside its folder"),
    "absolute path": (lambda: zip_of(("/etc/evil", b"x")), "outside its folder"),
    "drive": (lambda: zip_of(("C:evil.png", b"x")), "outside its folder"),
    "control character": (lambda: zip_of(("a\nb.png", b"x")), "outside its folder"),
    "link": (lambda: zip_of((link(), b"/etc/passwd")), "a link or a device"),
    "bomb": (lambda: zip_of(("a.png", b"\0" * 30_000_000)), "more than 100 times its size"),
    "same name twice": (lambda: zip_of(("a.png", b"x"), ("A.png", b"y")), "twice"),
    "encrypted": (encrypted, "encrypted"),
    "empty": (lambda: zip_of(), "empty"),
    "no archive": (lambda: io.BytesIO(b"PK no"), "not a ZIP archive"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_before_anything_is_written(tmp_path, name):
    make, sentence = HOSTILE[name]
    path = tmp_path / "a.zip"
    path.write_bytes(make().getvalue())
    with pytest.raises(ArchiveRefused, match=sentence):
        check_archive(make())
    with pytest.raises(ArchiveRefused, match=sentence):
        unpack_archive(path, tmp_path / "out")
    assert not list(tmp_path.rglob("evil*"))
    assert not (tmp_path / "out").exists()


def test_too_many_files_and_too_many_bytes_are_refused(monkeypatch):
    archive = zip_of(("a.csv", b"12345"), ("b.csv", b"12345"))
    assert check_archive(archive) == 2
    monkeypatch.setattr(archives, "MAX_FILES", 1)
    with pytest.raises(ArchiveRefused, match="2 files; at most 1"):
        check_archive(archive)
    monkeypatch.setattr(archives, "MAX_FILES", 10)
    monkeypatch.setattr(archives, "MAX_UNPACKED", 9)
    with pytest.raises(ArchiveRefused, match="Unpacked"):
        check_archive(archive)


def test_an_archive_that_lies_about_a_size_is_refused(tmp_path):
    content = b"x" * 5000
    data = bytearray(zip_of(("a.csv", content)).getvalue())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(signature) + offset
        data[at : at + 4] = (10).to_bytes(4, "little")
    path = tmp_path / "a.zip"
    path.write_bytes(bytes(data))
    with pytest.raises(ArchiveRefused):
        unpack_archive(path, tmp_path / "out")
    written = tmp_path / "out" / "a.csv"
    assert not written.exists() or written.stat().st_size <= 10


def test_a_damaged_archive_is_refused(tmp_path):
    data = bytearray(zip_of(("a.csv", bytes(range(256)) * 40)).getvalue())
    data[60:90] = bytes(30)
    path = tmp_path / "a.zip"
    path.write_bytes(bytes(data))
    with pytest.raises(ArchiveRefused, match="damaged"):
        unpack_archive(path, tmp_path / "out")


def test_what_operating_systems_add_is_left_out(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(
        zip_of(("set/cases.csv", b"a"), ("__MACOSX/set/._cases.csv", b"b"), ("set/.DS_Store", b"c")).getvalue()
    )
    unpack_archive(path, tmp_path / "out")
    assert [str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*.*")] == ["set/cases.csv"]
