"""Pictures prepared ahead are, number by number, what the checkpoint's image processor makes of them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from modelhub.ml import patch_worker
from modelhub.ml.backends.base import GenerationSettings, Request
from modelhub.ml.loading import LoadedModel, LoadSpec, load
from modelhub.ml.patch_worker import ORIENTATION, prune, read_patches
from modelhub.ml.patches import PatchWorkers, PictureError, PixelTable, patch_rule
from modelhub.ml.prepare import Planned, Prepared, Preparer
from modelhub.ml.processor import image_size, open_image
from tests.ml.random_checkpoint import make_image

SIZES = [(56, 56), (300, 200), (31, 400), (999, 77), (40, 40), (640, 480)]


@pytest.fixture(scope="module")
def loaded(base: Path) -> LoadedModel:
    return load(LoadSpec(base))


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[PatchWorkers]:
    made = PatchWorkers(cache=tmp_path / "kept", workers=2)
    yield made
    made.close()


@pytest.mark.parametrize(("lowest", "highest"), [(3136, 12544), (3136, 1_003_520), (200_704, 401_408)])
def test_patches_equal_the_processors(tmp_path: Path, lowest: int, highest: int) -> None:
    processor = Qwen2VLImageProcessorPil(min_pixels=lowest, max_pixels=highest)
    table = PixelTable(processor)
    for number, size in enumerate(SIZES):
        path = make_image(tmp_path / f"{number}.png", size, seed=number)
        theirs = processor(images=[open_image(path)], return_tensors="pt")
        patches, grid = read_patches(path, patch_rule(processor))
        assert [list(grid)] == theirs["image_grid_thw"].tolist()
        assert torch.equal(table.to_pixel_values(torch.from_numpy(patches.copy())), theirs["pixel_values"])


def test_bounds_narrow_the_checkpoints_own_and_never_widen_them() -> None:
    processor = Qwen2VLImageProcessorPil(min_pixels=10_000, max_pixels=20_000)
    for given, kept in [
        ((None, None), (10_000, 20_000)),
        ((12_000, 15_000), (12_000, 15_000)),
        ((3_136, 1_003_520), (10_000, 20_000)),
        ((3_136, 5_000), (10_000, 10_000)),
    ]:
        rule = patch_rule(processor, *given)
        assert (rule.min_pixels, rule.max_pixels) == kept


def test_a_photograph_on_its_side_is_turned(tmp_path: Path) -> None:
    image = Image.new("RGB", (120, 60), "white")
    image.paste("black", (0, 0, 10, 60))  # the left edge; seen upright it is at the top
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    image.save(tmp_path / "phone.jpg", exif=exif, quality=95)
    assert image_size(tmp_path / "phone.jpg") == open_image(tmp_path / "phone.jpg").size == (60, 120)
    seen = np.asarray(open_image(tmp_path / "phone.jpg").convert("L"))
    assert seen[:8].mean() < 40 < 200 < seen[20:].mean()


def test_workers_answer_in_order_and_from_the_cache(tmp_path: Path, workers: PatchWorkers, loaded: LoadedModel) -> None:
    paths = [make_image(tmp_path / f"{i}.png", size, seed=i) for i, size in enumerate(SIZES)]
    rule = patch_rule(loaded.processor.image_processor)
    wanted = [read_patches(path, rule) for path in paths]
    for kept in (0, len(paths)):  # computed, then found
        assert len(list((tmp_path / "kept").glob("*.patches"))) == kept
        for future, (patches, grid) in zip([workers.submit(path, rule) for path in paths], wanted, strict=True):
            found, found_grid = future.result(timeout=60)
            assert found_grid == grid and np.array_equal(found, patches)


def test_another_bound_and_another_picture_miss_the_cache(tmp_path: Path, loaded: LoadedModel) -> None:
    path, processor = make_image(tmp_path / "a.png", (300, 200)), loaded.processor.image_processor
    rules = [patch_rule(processor), patch_rule(processor, max_pixels=6272), patch_rule(processor)]
    for rule in rules:
        read_patches(path, rule, tmp_path / "kept")
    assert len(list((tmp_path / "kept").iterdir())) == 2
    make_image(path, (300, 200), seed=9)
    fresh, _ = read_patches(path, rules[0], tmp_path / "kept")
    assert np.array_equal(fresh, read_patches(path, rules[0])[0])


def test_a_kept_file_that_was_cut_is_made_again(tmp_path: Path, loaded: LoadedModel) -> None:
    path, rule = make_image(tmp_path / "a.png"), patch_rule(loaded.processor.image_processor)
    wanted, _ = read_patches(path, rule, tmp_path / "kept")
    (file,) = (tmp_path / "kept").iterdir()
    for content in (file.read_bytes()[:-1], b"", b"{}\n", b"\x00\xff"):
        file.write_bytes(content)
        assert np.array_equal(read_patches(path, rule, tmp_path / "kept")[0], wanted)
        assert file.stat().st_size > len(wanted)


def test_the_longest_unused_leave_first(tmp_path: Path) -> None:
    for number in range(5):
        file = tmp_path / f"{number}.patches"
        file.write_bytes(b"x" * 100)
        os.utime(file, (number, number))
    old_draft, other = tmp_path / ".draft-x", tmp_path / "notes.txt"
    old_draft.write_bytes(b"x")
    os.utime(old_draft, (0, 0))
    other.write_bytes(b"x" * 1000)
    prune(tmp_path, 250)
    assert {file.name for file in tmp_path.iterdir()} == {"3.patches", "4.patches", "notes.txt"}


def test_a_killed_worker_is_replaced(tmp_path: Path, loaded: LoadedModel) -> None:
    workers = PatchWorkers(workers=1)
    path, rule = make_image(tmp_path / "a.png"), patch_rule(loaded.processor.image_processor)
    first = workers.submit(path, rule).result(timeout=60)
    os.kill(workers._running[0].pid, signal.SIGKILL)
    workers._running[0].wait(timeout=30)
    assert np.array_equal(workers.submit(path, rule).result(timeout=60)[0], first[0])
    processes = list(workers._running)
    workers.close()
    assert all(process.poll() is not None for process in processes) and len(processes) == 2
    with pytest.raises(RuntimeError):
        workers.submit(path, rule)


def test_a_broken_picture_names_its_file(tmp_path: Path, workers: PatchWorkers, loaded: LoadedModel) -> None:
    rule = patch_rule(loaded.processor.image_processor)
    (tmp_path / "text.png").write_text("no picture")
    make_image(tmp_path / "thin.png", (2000, 4))
    whole = make_image(tmp_path / "cut.png", (200, 200)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    for name in ("text.png", "thin.png", "cut.png", "gone.png"):
        with pytest.raises(PictureError, match=name):
            workers.submit(tmp_path / name, rule).result(timeout=60)


def test_no_more_wait_than_asked(tmp_path: Path, workers: PatchWorkers, loaded: LoadedModel) -> None:
    requests = [Request(str(i), (make_image(tmp_path / f"{i}.png", seed=i),), "x") for i in range(9)]
    preparer = Preparer(loaded.processor, GenerationSettings(), workers)
    planned = [plan for request in requests if isinstance(plan := preparer.plan(request), Planned)]
    asked: list[Path] = []
    submit = workers.submit
    workers.submit = lambda path, rule: (asked.append(path), submit(path, rule))[1]  # type: ignore[method-assign]
    ready = preparer.ahead(planned, 3)
    for taken in range(1, 10):
        one = ready.next()
        assert isinstance(one, Prepared) and one.request.id == str(taken - 1)
        assert len(asked) <= taken + 2
    assert ready.next() is None and len(asked) == 9
    assert ready.ready(5)  # nothing is left to wait for


def test_the_worker_needs_no_torch_and_ends_with_its_parent() -> None:
    code = "import sys, runpy; sys.stdin = open('/dev/null'); runpy.run_path(sys.argv[1], run_name='__main__'); "
    code += "assert not {'torch', 'transformers', 'django', 'modelhub'} & set(sys.modules)"
    subprocess.run([sys.executable, "-P", "-c", code, patch_worker.__file__], check=True, timeout=60)
    parent = (
        "import subprocess, sys, time; command = [sys.executable, '-P', sys.argv[1]]; "
        "print(subprocess.Popen(command, stdin=subprocess.PIPE).pid, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", parent, patch_worker.__file__]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    worker = int(process.stdout.readline())
    process.kill()
    process.communicate()
    for _ in range(600):
        if not Path(f"/proc/{worker}/cmdline").exists() or not Path(f"/proc/{worker}/cmdline").read_bytes():
            break
        time.sleep(0.05)
    else:
        pytest.fail("the worker outlived its parent")
