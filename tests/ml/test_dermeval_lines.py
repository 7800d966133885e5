"""The fitted reading: its cases are held out whole, its lines are least squares that never fall."""

from pathlib import Path

import numpy as np
import pytest

from modelhub.ml import dermeval_train
from modelhub.ml.checkpoint_files import CheckpointError
from modelhub.ml.dermeval_data import Physician, RatedNarrative, write_rated
from modelhub.ml.dermeval_lines import FittedLines, Line, fit_lines, hold_out, read_lines, write_lines
from modelhub.ml.dermeval_train import train_dermeval
from scoring.rubric import DIMENSION_KEYS
from tests.ml.random_checkpoint import make_image
from tests.ml.test_dermeval import quick

WORDS = dict.fromkeys(DIMENSION_KEYS, "so; and so.")
IMAGE = Path("image.png")


def rated(count: int, *, each: int = 2, image: Path = IMAGE, **fixed: float | None) -> list[RatedNarrative]:
    """`each` narratives about every case; a physician's score is the narrative's number from 0 to 5."""
    found = []
    for number in range(count):
        scores: dict[str, float | None] = {**dict.fromkeys(DIMENSION_KEYS, float(number % 6)), **fixed}
        said = (Physician("a", scores, WORDS),)
        found.append(RatedNarrative(f"case {number // each}", f"version {number}", (image,), "Text.", said))
    return found


def drawn(fitted: FittedLines, key: str) -> tuple[float, float, int]:
    line = fitted.lines[key]
    assert line is not None
    return line.offset, line.slope, line.narratives


def test_whole_cases_are_held_out_the_same_in_any_order() -> None:
    all_of_them = rated(200, each=4)
    learned, held = hold_out(all_of_them, share=0.2, seed=3)
    assert (len(learned), len(held)) == (160, 40)
    assert not {one.case for one in learned} & {one.case for one in held}
    again = hold_out(all_of_them[::-1], share=0.2, seed=3)[1]
    assert {one.version for one in again} == {one.version for one in held}
    other = hold_out(all_of_them, share=0.2, seed=4)[1]
    assert {one.version for one in other} != {one.version for one in held}


def test_too_few_to_fit_anything_are_all_learned_from() -> None:
    few = rated(40)
    assert hold_out(few, share=0.4, seed=1) == (few, [])
    assert hold_out(few, share=0, seed=1) == (few, [])
    assert len(hold_out(few, share=0.5, seed=1)[1]) == 20


def test_lines_are_least_squares_and_never_fall() -> None:
    held = rated(60, safety=None)
    rng = np.random.default_rng(2)
    expected: dict[str, dict[str, float | None]] = {}
    for one in held:
        truth = one.mean_scores()["accuracy"] or 0.0
        numbers: dict[str, float | None] = dict.fromkeys(DIMENSION_KEYS, 2 + truth / 4 + float(rng.normal(0, 0.1)))
        expected[one.version] = numbers | {"reasoning_coherence": 5 - truth, "clinical_coverage": 3.0}
    for version in list(expected)[:45]:
        expected[version]["description_precision"] = None
    fitted = fit_lines(held, expected)
    assert (fitted.cases, fitted.narratives) == (30, 60)
    x = [expected[one.version]["accuracy"] for one in held]
    y = [one.mean_scores()["accuracy"] for one in held]
    slope, offset = np.polyfit(np.array(x, dtype=float), np.array(y, dtype=float), 1)
    assert drawn(fitted, "accuracy") == pytest.approx((offset, slope, 60))
    for flat in ("reasoning_coherence", "clinical_coverage"):  # the wrong way round, and always the same
        assert drawn(fitted, flat) == pytest.approx((2.5, 0.0, 60))
    assert fitted.lines["safety"] is None  # no physician could judge it
    assert fitted.lines["description_precision"] is None  # fifteen numbers only


def test_the_reading_stays_on_the_scale_and_says_nothing_where_there_is_nothing(tmp_path: Path) -> None:
    lines: dict[str, Line | None] = dict.fromkeys(DIMENSION_KEYS, Line(-4.0, 2.0, 30)) | {"safety": None}
    fitted = FittedLines(10, 40, lines)
    numbers = dict(zip(DIMENSION_KEYS, (1.0, 1.5, 3.5, 4.9, None, 2.5), strict=True))
    assert [*fitted.read(numbers).values()] == pytest.approx([0.0, 1.5, 3.0, 5.0, None, 1.0])
    write_lines(tmp_path, fitted)
    assert read_lines(tmp_path) == fitted
    (tmp_path / "lines.json").write_text("{}")
    with pytest.raises(CheckpointError, match="no fitted lines"):
        read_lines(tmp_path)


def test_both_stages_leave_lines_from_cases_that_neither_learned_from(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write_rated(rated(44, image=make_image(data / "image.png", (56, 56), seed=1)), data)
    learned, asked = set[str](), set[str]()

    def train_stage(name: str, loaded: object, rows: list[RatedNarrative], *rest: object) -> None:
        learned.update(one.case for one in rows)
        real(name, loaded, rows, *rest)  # type: ignore[arg-type]

    def expected_of(spec: object, held: list[RatedNarrative], settings: object) -> dict[str, dict[str, float | None]]:
        asked.update(one.case for one in held)
        return {one.version: one.mean_scores() for one in held}

    real = dermeval_train.train_stage
    monkeypatch.setattr(dermeval_train, "train_stage", train_stage)
    monkeypatch.setattr(dermeval_train, "expected_of", expected_of)
    settings = quick(sft_steps=1, rl_steps=1, fit_share=0.5)
    result = train_dermeval(base=base, data=data, out=tmp_path / "out", settings=settings)
    assert len(asked) == 11
    assert len(learned) == 11
    assert not asked & learned
    assert {stage: found.narratives for stage, found in result.lines.items()} == {"sft": 22, "rl": 22}
    assert drawn(result.lines["rl"], "safety") == pytest.approx((0.0, 1.0, 22), abs=1e-9)
    (tmp_path / "out" / "rl" / "lines.json").unlink()  # ended before they were fitted
    assert train_dermeval(base=base, data=data, out=tmp_path / "out", settings=settings).lines == result.lines
