"""Importing on the command line: rights are stated, refusals end with 1."""

import pytest
from django.core.management import CommandError, call_command

from scoring.models import Case, Source
from tests.factories import make_source
from tests.scoring.import_folders import make_folder, row

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def source():
    return make_source(name="Clinic")


COMMAND = ("--source-name", "Clinic A", "--verbosity", "0", "--format", "folder")
RIGHTS = ("--licence", "CC BY 4.0", "--basis", "Ethics board 12/34", "--redistribute", "block", "--may-train")


def test_the_command_makes_the_source_and_imports(tmp_path, capsys):
    folder = make_folder(tmp_path / "set", [row(1), row(2)])
    call_command("import_cases", str(folder), *COMMAND, *RIGHTS)
    source = Source.objects.get()
    assert (source.name, source.licence, source.redistribute) == ("Clinic A", "CC BY 4.0", "block")
    assert (source.may_train, source.may_leave_site) == (True, False)
    assert "2 cases imported, 0 were already here, 0 refused." in capsys.readouterr().out
    call_command("import_cases", str(folder), *COMMAND)
    assert "0 cases imported, 2 were already here" in capsys.readouterr().out


def test_the_command_ends_with_1_when_anything_was_refused(tmp_path, capsys):
    folder = make_folder(tmp_path / "set", [row(1), row(2, images="nowhere.png", age="x")])
    with pytest.raises(SystemExit) as ended:
        call_command("import_cases", str(folder), *COMMAND, *RIGHTS)
    assert ended.value.code == 1
    told = capsys.readouterr().out
    assert "refused  case-2: " in told
    assert "1 cases imported" in told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((*COMMAND,), "is a new source: state --licence and --basis"),
        ((*COMMAND, *RIGHTS, "--evaluation-share", "2"), "between 0 and 1"),
    ],
)
def test_the_command_refuses_what_is_not_stated(tmp_path, arguments, sentence):
    folder = make_folder(tmp_path / "set", [row(1)])
    with pytest.raises(CommandError, match=sentence):
        call_command("import_cases", str(folder), *arguments)


def test_the_command_never_changes_a_sources_rights(tmp_path):
    make_source(name="Clinic A", may_train=False)
    folder = make_folder(tmp_path / "set", [row(1)])
    with pytest.raises(CommandError, match="exists with another --may-train"):
        call_command("import_cases", str(folder), *COMMAND, "--may-train")
    with pytest.raises(CommandError, match="is not a folder"):
        call_command("import_cases", str(tmp_path / "nowhere"), *COMMAND)
    assert not Case.objects.exists()
