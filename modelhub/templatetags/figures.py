"""Figures as people read them; what is unknown is a dash, never 0."""

from typing import Any

from django import template

register = template.Library()
UNKNOWN, MINUS = "–", "−"


@register.filter
def score(value: float | None, digits: int = 2) -> str:
    """With a true minus; what rounds to 0 has none."""
    if value is None:
        return UNKNOWN
    words = f"{value:.{digits}f}"
    return words.replace("-", MINUS if float(words) else "")


@register.filter
def signed(value: float | None, digits: int = 2) -> str:
    """With its sign, a true minus; what rounds to 0 has none."""
    if value is None:
        return UNKNOWN
    words = f"{abs(value):.{digits}f}"
    if not float(words):
        return words
    return f"+{words}" if value > 0 else f"{MINUS}{words}"


@register.filter
def interval(figure: Any, sign: bool = False) -> str:
    """“3.10 to 3.42”; a dash where there is no interval."""
    if figure is None or figure.low is None or figure.high is None:
        return UNKNOWN
    show = signed if sign else score
    return f"{show(figure.low)} to {show(figure.high)}"


@register.filter
def p_value(value: float | None) -> str:
    """“0.034”, “< 0.001”."""
    if value is None:
        return UNKNOWN
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


@register.filter
def per_cent(value: float | None) -> str:
    """A share in per cent with one digit, without its sign."""
    return UNKNOWN if value is None else f"{100 * value:.1f}"


@register.filter
def seconds(value: float | None) -> str:
    """“0.8 s”, “42 s”, “3 min 20 s”, “2 h 5 min”."""
    if value is None:
        return UNKNOWN
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@register.filter
def seconds_between(start: Any, end: Any) -> float | None:
    return None if start is None or end is None else (end - start).total_seconds()


@register.filter
def file_size(value: int) -> str:
    """“812 B”, “1.2 kB”, “3.4 MB”: powers of 1,000."""
    size = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


@register.filter
def short_hash(value: str) -> str:
    return value[:12]
