"""Corrected steps as a browser's journal keeps them: the words that she put in and where, not the text around them."""

from collections.abc import Mapping
from typing import Any

from scoring.models import NarrativeVersion

PREFIX = "step-"


def with_steps(fields: Mapping[str, Any], version: NarrativeVersion) -> dict[str, Any]:
    """``fields`` with each splice ``{"start", "end", "length", "text"}`` put into its step of ``version``.

    Places are counted as JavaScript counts, in units of UTF-16, from the start and from the end; ``length`` is that
    of the step. A splice that does not fit its step is left out.
    """
    steps = {f"{PREFIX}{step['number']}": step["text"] for step in version.step_texts()}
    found: dict[str, Any] = {}
    for name, value in fields.items():
        whole = _joined(steps[name], value) if isinstance(value, dict) and name in steps else value
        if whole is not None:
            found[name] = whole
    return found


def _joined(text: str, splice: Mapping[str, Any]) -> str | None:
    units = text.encode("utf-16-le", "surrogatepass")
    length = len(units) // 2
    start, end, put_in = (splice.get(part) for part in ("start", "end", "text"))
    are_places = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in (start, end))
    if not are_places or not isinstance(put_in, str) or splice.get("length") != length:
        return None
    if start + end > length:  # type: ignore[operator]
        return None
    words = put_in.encode("utf-16-le", "surrogatepass")
    whole = units[: 2 * start] + words + units[2 * (length - end) :]  # type: ignore[operator]
    return whole.decode("utf-16-le", "replace")
