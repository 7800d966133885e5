"""A stylesheet in parts travels as one file, whose name changes when a part does."""

from pathlib import Path

import pytest
from django.contrib.staticfiles.storage import StaticFilesStorage

from annotator.runtime.styles import JoinedStyles, joined


@pytest.fixture
def source(tmp_path) -> Path:
    folder = tmp_path / "source"
    (folder / "desk").mkdir(parents=True)
    (folder / "desk.css").write_text('/* The desk */\n@import url("desk/lamp.css");\n@import url("desk/chair.css");\n')
    (folder / "desk" / "lamp.css").write_text("p {\n  color: red;\n}\n")
    (folder / "desk" / "chair.css").write_text("p {\n  color: blue;\n}\n")
    return folder


def collect(source: Path, target: Path) -> tuple[str, str]:
    """The collected sheet's name and content."""
    storage, found = JoinedStyles(location=target, base_url="/static/"), StaticFilesStorage(location=source)
    paths = {}
    for path in sorted(source.rglob("*.css")):
        name = path.relative_to(source).as_posix()
        paths[name] = (found, name)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(path.read_bytes())
    assert len(list(storage.post_process(paths))) >= 3
    name = storage.stored_name("desk.css")
    return name, (target / name).read_text()


def test_parts_stand_in_the_order_of_their_imports(source, tmp_path):
    __, text = collect(source, tmp_path / "target")
    assert "@import" not in text and 0 < text.index("red") < text.index("blue")


def test_the_name_changes_with_a_part(source, tmp_path):
    before, __ = collect(source, tmp_path / "before")
    (source / "desk" / "lamp.css").write_text("p {\n  color: green;\n}\n")
    after, __ = collect(source, tmp_path / "after")
    assert before != after


def test_a_missing_part_stops_the_collection(source, tmp_path):
    (source / "desk" / "lamp.css").unlink()
    with pytest.raises(FileNotFoundError, match=r"lamp\.css"):
        collect(source, tmp_path / "target")


def test_every_part_of_the_rating_page_is_found():
    text = joined(Path(__file__).parents[2] / "static" / "css" / "rating.css")
    assert "@import" not in text and ".scores-pane" in text and ".beside" in text
