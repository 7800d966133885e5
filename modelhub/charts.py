"""Geometry of our own SVG partials: pure functions from numbers to attributes, as strings.

Horizontal places are per cent of the drawing's width, so that a chart keeps its type size at every width; vertical ones
are pixels. Every chart has a table twin with the same figures in its template.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

ROW_PX = 40
SERIES_GAP_PX = 13
SHAPES = ("circle", "square", "diamond", "triangle")
COLOURS = 4


@dataclass(frozen=True)
class Scale:
    """A straight mapping of ``low``..``high`` onto 0..100 per cent."""

    low: float
    high: float

    def place(self, value: float) -> float:
        """Per cent of the width; values beyond the ends are kept at the ends."""
        share = (value - self.low) / (self.high - self.low)
        return 100 * min(1.0, max(0.0, share))


@dataclass(frozen=True)
class Tick:
    at: str
    label: str
    anchor: str


@dataclass(frozen=True)
class Interval:
    """One series in one row: centre and both ends in per cent, ``y`` in pixels from the row's top."""

    series: int
    colour: int
    shape: str
    x: str
    low: str
    high: str
    y: int


@dataclass(frozen=True)
class IntervalRow:
    label: str
    marks: tuple[Interval, ...]


@dataclass(frozen=True)
class IntervalChart:
    """Dots with their intervals: rows ``row_px`` high on a shared scale; a caption says where it starts."""

    rows: tuple[IntervalRow, ...]
    ticks: tuple[Tick, ...]
    row_px: int
    starts_at_zero: bool


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval; ``low`` and ``high`` are ``None`` where no interval can be given."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Bar:
    x: str
    width: str
    y: int
    height: int
    label: str
    value: int


@dataclass(frozen=True)
class BarChart:
    """Columns over equal steps; ``height`` in pixels, ``top`` the value of the highest tick."""

    bars: tuple[Bar, ...]
    height: int
    top: int


@dataclass(frozen=True)
class CurveChart:
    """A line in a 100 × 100 drawing that is stretched to its frame; ticks as on the axes."""

    points: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Dot:
    """A mean at (x, y) with its interval from ``low`` to ``high``, all in units of the drawing."""

    x: str
    y: str
    low: str
    high: str


@dataclass(frozen=True)
class CalibrationChart:
    """A square of ``side`` units: one scale across and up, the diagonal where both agree, ``ticks`` along both."""

    side: int
    dots: tuple[Dot, ...]
    ticks: tuple[tuple[str, str, str], ...]


def percent(value: float) -> str:
    return f"{value:.2f}%"


def nice_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten that cuts ``span`` into at most ``most`` parts."""
    if span <= 0:
        raise ValueError(f"a span is above 0, got {span}")
    power = 10.0 ** math.floor(math.log10(span / most))
    for factor in (1, 2, 5, 10, 20):
        if span / (factor * power) <= most + 1e-9:
            return factor * power
    raise AssertionError("20 times the power always suffices")


def nice_scale(values: Sequence[float], *, lowest: float, highest: float, most: int = 5) -> tuple[Scale, float]:
    """A scale around ``values`` between the ends given, on whole steps, and its step."""
    low, high = min(values), max(values)
    if high - low < 0.5:  # a narrow spread is not blown up to fill the width
        middle = (low + high) / 2
        low, high = middle - 0.25, middle + 0.25
    step = nice_step(high - low, most)
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return Scale(max(lowest, low), min(highest, high)), step


def ticks(scale: Scale, step: float) -> tuple[Tick, ...]:
    count = round((scale.high - scale.low) / step)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    found = []
    for index in range(count + 1):
        value = scale.low + index * step
        anchor = "start" if index == 0 else "end" if index == count else "middle"
        label = f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")  # + 0.0: no tick says −0
        found.append(Tick(percent(scale.place(value)), label, anchor))
    return tuple(found)


def interval_chart(
    rows: Sequence[tuple[str, Sequence[Estimate | None]]], *, lowest: float = 0.0, highest: float = 5.0
) -> IntervalChart | None:
    """Rows of (label, one estimate per series in the series' order); ``None`` when there is nothing to draw."""
    known = [estimate for _, estimates in rows for estimate in estimates if estimate is not None]
    if not known:
        return None
    ends = [end for e in known for end in (e.mean, e.low, e.high) if end is not None]
    scale, step = nice_scale(ends, lowest=lowest, highest=highest)
    series = max(len(estimates) for _, estimates in rows)
    row_px = max(ROW_PX, SERIES_GAP_PX * (series + 1))
    drawn = tuple(IntervalRow(label, _marks(scale, estimates, row_px)) for label, estimates in rows)
    return IntervalChart(drawn, ticks(scale, step), row_px, scale.low == 0)


def _marks(scale: Scale, estimates: Sequence[Estimate | None], row_px: int) -> tuple[Interval, ...]:
    first = row_px // 2 - SERIES_GAP_PX * (len(estimates) - 1) // 2
    marks = []
    for number, estimate in enumerate(estimates):
        if estimate is None:
            continue
        low = estimate.mean if estimate.low is None else estimate.low
        high = estimate.mean if estimate.high is None else estimate.high
        marks.append(
            Interval(
                series=number,
                colour=number % COLOURS + 1,
                shape=SHAPES[number % len(SHAPES)],
                x=percent(scale.place(estimate.mean)),
                low=percent(scale.place(low)),
                high=percent(scale.place(high)),
                y=first + number * SERIES_GAP_PX,
            )
        )
    return tuple(marks)


def bar_chart(values: Sequence[tuple[str, int]], *, height: int = 120) -> BarChart:
    """Columns of (label, count); the axis starts at 0 and ends at a round figure of at least 1."""
    largest = max((count for _, count in values), default=0)
    step = max(1, int(nice_step(max(1, largest), 4)))
    top = max(1, math.ceil(largest / step) * step)
    slot = 100 / max(1, len(values))
    bars = []
    for index, (label, count) in enumerate(values):
        # anything that is not nothing can be seen
        tall = max(2, round(height * count / top)) if count else 0
        bars.append(Bar(percent(slot * (index + 0.14)), percent(slot * 0.72), height - tall, tall, label, count))
    return BarChart(tuple(bars), height, top)


def curve_chart(points: Sequence[tuple[float, float]]) -> CurveChart | None:
    """A line through (x, y), x rising, on an axis that reaches 0; ``None`` for fewer than two points."""
    if len(points) < 2 or points[0][0] == points[-1][0]:
        return None
    xs = Scale(points[0][0], points[-1][0])
    values = [y for _, y in points]
    low, high = min(0.0, *values), max(0.0, *values)
    step = nice_step((high - low) or 1.0, 4)
    top = math.ceil(high / step - 1e-9) * step if high > low else step
    ys = Scale(math.floor(low / step + 1e-9) * step, top)
    line = " ".join(f"{xs.place(x):.2f},{100 - ys.place(y):.2f}" for x, y in points)
    y_ticks = tuple(Tick(percent(100 - float(t.at[:-1])), t.label, "end") for t in ticks(ys, step))
    x_ticks = (
        Tick(percent(0), f"{xs.low:g}", "start"),
        Tick(percent(100), f"{xs.high:g}", "end"),
    )
    return CurveChart(line, x_ticks, y_ticks)


def calibration_chart(points: Sequence[tuple[float, Estimate]], *, highest: int = 5) -> CalibrationChart | None:
    """What one side says (0 to ``highest``) against the mean of the other with its interval; ``None`` without any."""
    if not points:
        return None
    side, scale = 200, Scale(0.0, float(highest))

    def across(value: float) -> str:
        return f"{side * scale.place(value) / 100:.1f}"

    def up(value: float) -> str:
        return f"{side * (1 - scale.place(value) / 100):.1f}"

    dots = []
    for x, found in points:
        low = found.mean if found.low is None else found.low
        high = found.mean if found.high is None else found.high
        dots.append(Dot(across(x), up(found.mean), up(low), up(high)))
    marks = tuple((across(value), up(value), str(value)) for value in range(highest + 1))
    return CalibrationChart(side, tuple(dots), marks)
