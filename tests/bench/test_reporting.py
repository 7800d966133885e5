"""The ruler itself: processor time and memory of a process tree, tables, the last line."""

import json
import subprocess
import sys

import pytest

from bench import reporting


def test_time_that_children_burn_is_counted_alive_or_ended() -> None:
    before = reporting.cpu_seconds()
    code = "sum(i * i for i in range(3_000_000)); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, text=True) as child:
        while reporting.cpu_seconds(child.pid) < 0.1:
            assert child.poll() is None
        alive = reporting.cpu_seconds() - before
        assert child.pid in reporting.process_tree()
        child.communicate("\n")
    assert alive >= 0.1
    assert reporting.cpu_seconds() - before >= alive
    assert child.pid not in reporting.process_tree()


def test_a_stopwatch_counts_no_time_asleep() -> None:
    with reporting.Stopwatch() as asleep:
        subprocess.run(["sleep", "0.5"], check=True)
    assert asleep.wall_s >= 0.5
    assert asleep.cpu_s < asleep.wall_s


def test_the_peak_of_memory_outlives_what_caused_it() -> None:
    before = reporting.resident()
    block = bytearray(b"x") * 50_000_000
    assert reporting.resident() - before > 40_000_000
    del block
    assert reporting.peak_rss() - before > 40_000_000


def test_a_table_keeps_its_columns_and_never_prints_unknown_as_zero() -> None:
    lines = reporting.table(["case", "rate"], [["a", 12345.6], ["long name", None], ["b", 0.25]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].endswith(":|")
    assert "12,346" in lines[2]
    assert reporting.UNKNOWN in lines[3]
    with pytest.raises(ValueError, match="2 headers"):
        reporting.table(["case", "rate"], [["a"]])


def test_the_last_line_is_json_and_refuses_what_is_not_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    reporting.finish({"ratio": 1.5, "missing": None})
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"ratio": 1.5, "missing": None}
    with pytest.raises(ValueError, match="not JSON compliant"):
        reporting.finish({"ratio": float("nan")})


def test_progress_passes_everything_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(reporting.progress(range(20), "counting")) == list(range(20))
    caught = capsys.readouterr()
    assert caught.out == ""
    assert "20/20" in caught.err


def test_conditions_say_what_is_absent() -> None:
    found = reporting.conditions("pytest", "no-such-package")
    assert found["versions"]["no-such-package"] is None
    assert found["device"] and found["cores"] >= 1
    assert "no-such-package absent" in reporting.in_words(found)
