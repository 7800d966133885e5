"""Chart geometry by hand: per cent of the width, pixels of the height, nothing outside the frame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.charts import (
    Estimate,
    Scale,
    bar_chart,
    curve_chart,
    interval_chart,
    nice_scale,
    nice_step,
    ticks,
)

scores = st.floats(min_value=0, max_value=5, allow_nan=False)


def test_a_value_is_placed_in_proportion():
    assert Scale(3.0, 5.0).place(4.5) == 75.0


def test_a_value_beyond_the_scale_stays_at_its_end():
    assert (Scale(3.0, 5.0).place(1.0), Scale(3.0, 5.0).place(9.0)) == (0.0, 100.0)


STEPS = [(1.0, 5, 0.2), (5.0, 5, 1.0), (0.9, 4, 0.5), (37, 4, 10), (6, 4, 2)]


@pytest.mark.parametrize(("span", "most", "step"), STEPS)
def test_steps_are_round(span, most, step):
    assert nice_step(span, most) == pytest.approx(step)


def test_a_span_of_nothing_has_no_step():
    with pytest.raises(ValueError, match="above 0"):
        nice_step(0, 4)


def test_ticks_name_round_values_and_keep_inside():
    found = ticks(Scale(3.0, 4.0), 0.5)
    assert [(t.at, t.label, t.anchor) for t in found] == [
        ("0.00%", "3.0", "start"),
        ("50.00%", "3.5", "middle"),
        ("100.00%", "4.0", "end"),
    ]


def test_a_narrow_spread_is_not_blown_up():
    scale, _ = nice_scale([4.00, 4.01], lowest=0, highest=5)
    assert scale.high - scale.low >= 0.5


@given(st.lists(scores, min_size=1, max_size=12))
def test_every_score_has_a_place_on_its_scale(values):
    scale, step = nice_scale(values, lowest=0, highest=5)
    assert 0 <= scale.low <= min(values) and max(values) <= scale.high <= 5
    assert len(ticks(scale, step)) >= 2


def test_interval_marks_are_placed_by_hand():
    chart = interval_chart([("Accuracy", [Estimate(3.5, 3.0, 4.0), None, Estimate(4.0, None, None)])])
    assert chart is not None
    (row,) = chart.rows
    first, third = row.marks
    assert (first.low, first.x, first.high) == ("0.00%", "50.00%", "100.00%")
    assert (third.low, third.x, third.high) == ("100.00%",) * 3
    assert (first.series, third.series) == (0, 2) and third.y - first.y == 26
    assert {first.shape, third.shape} == {"circle", "diamond"} and first.colour != third.colour
    assert 0 < first.y < third.y < chart.row_px and not chart.starts_at_zero


def test_nothing_known_draws_nothing():
    assert interval_chart([("Accuracy", [None, None])]) is None


@given(st.integers(min_value=1, max_value=14))
def test_every_series_fits_into_its_row(count):
    chart = interval_chart([("Safety", [Estimate(3.0, 2.5, 3.5)] * count)])
    assert chart is not None
    assert all(0 < mark.y < chart.row_px for mark in chart.rows[0].marks)


def test_bars_stand_on_the_ground_and_what_is_not_nothing_can_be_seen():
    chart = bar_chart([("1 Nov", 0), ("2 Nov", 400), ("3 Nov", 1)], height=100)
    none, all_, one = chart.bars
    assert (none.height, one.height, chart.top) == (0, 2, 400)
    assert all_.height == 100 and all(bar.y + bar.height == 100 for bar in chart.bars)


def test_days_without_a_rating_still_have_an_axis():
    assert bar_chart([("1 Nov", 0)]).top == 1


def test_a_curve_runs_from_corner_to_corner():
    chart = curve_chart([(1, 4.0), (2, 2.0), (3, 0.0)])
    assert chart is not None
    assert chart.points == "0.00,0.00 50.00,50.00 100.00,100.00"
    assert [tick.label for tick in chart.x_ticks] == ["1", "3"]


@pytest.mark.parametrize("points", [[], [(1, 2.0)], [(1, 2.0), (1, 3.0)]])
def test_a_curve_needs_two_steps(points):
    assert curve_chart(points) is None


def test_a_curve_below_zero_hangs_from_it():
    chart = curve_chart([(1, -20.0), (2, -5.0)])
    assert chart is not None
    assert chart.points == "0.00,100.00 100.00,25.00"
    assert [tick.label for tick in chart.y_ticks] == ["\u221220", "\u221215", "\u221210", "\u22125", "0"]


def test_a_loss_of_zero_is_drawn():
    chart = curve_chart([(1, 0.0), (2, 0.0)])
    assert chart is not None and chart.points == "0.00,100.00 100.00,100.00"
