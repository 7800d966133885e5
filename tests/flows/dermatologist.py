"""A scripted dermatologist: she knows what was drawn, reads the page, scores it, and mends wrong steps."""

import json
import re
from typing import Any

from modelhub.ml.synthetic.lesion import Lesion
from modelhub.ml.synthetic.truth import correct, score
from scoring.narrative_format import parse
from scoring.rubric import DIMENSION_KEYS
from tests.flows.studio import Studio
from tests.flows.visitor import Visitor

DIAGNOSIS = re.compile(r"[A-Z][\w-]*(?: [\w-]+)*-like lesion\.")


def lesions_by_code(studio: Studio) -> dict[str, Lesion]:
    """What was drawn, by the short case code that pages show."""
    rows = json.loads(studio.command("dumpdata", "scoring.Case", "modelhub.SyntheticTruth"))
    codes = {
        row["pk"]: row["fields"]["public_id"].replace("-", "")[:8].upper()
        for row in rows
        if row["model"] == "scoring.case"
    }
    truths = [row["fields"] for row in rows if row["model"] == "modelhub.synthetictruth"]
    return {codes[truth["case"]]: Lesion.from_dict(truth["lesion"]) for truth in truths}


def consent(visitor: Visitor) -> None:
    visitor.open("/rate/")
    assert "information sheet" in visitor.text.lower()
    visitor.submit(form=visitor.form("sheet_version"), accept="1")


def rate_all(visitor: Visitor, lesions: dict[str, Lesion], *, most: int = 500) -> dict[str, int]:
    """Go through the queue until nothing is left; counts what she rated and corrected."""
    done = {"rated": 0, "corrected": 0}
    visitor.open("/rate/")
    for _ in range(most):
        code = re.search(r"Rate case (\w{8})", visitor.page.text)
        if code is None:
            return done
        if code[1] not in lesions:  # not a drawing: nothing to judge it by
            visitor.open(visitor.links(r"/skip/$")[0])
            visitor.submit(form=visitor.form("reason"), reason="outside_expertise")
            continue
        lesion, address = lesions[code[1]], str(visitor.page.url)
        visitor.open(visitor.links(r"/revise/$")[0])
        steps = dict(visitor.form("step-1").fields)
        texts = [steps[f"step-{n}"] for n in range(1, len(steps) + 1) if f"step-{n}" in steps]
        text = as_narrative(texts)
        changes = corrections(lesion, texts, text)
        if changes:
            done["corrected"] += correct_text(visitor, changes)
        visitor.open(address)
        visitor.submit(form=visitor.form("client_uuid"), **scores(lesion, text))
        done["rated"] += 1
    raise AssertionError("the queue never ran empty")


def correct_text(visitor: Visitor, changes: dict[str, Any]) -> bool:
    """Send her corrections; false where a colleague has sent the very same text before her."""
    visitor.submit(form=visitor.form("step-1"), refusal=422, **changes)
    if visitor.page.status_code == 422:
        assert "already has this text" in visitor.text, visitor.text
    return visitor.page.status_code == 200


def as_narrative(steps: list[str]) -> str:
    """The tagged text that the steps of the page belong to."""
    answer = next((n for n, step in enumerate(steps) if DIAGNOSIS.fullmatch(step)), len(steps))
    return f"<think> {' '.join(steps[:answer])} </think><answer> {' '.join(steps[answer:])} </answer>"


def scores(lesion: Lesion, text: str) -> dict[str, str]:
    exact = score(lesion, text)
    entered = {key: "x" if exact[key] is None else str(round(exact[key] or 0)) for key in DIMENSION_KEYS}
    reasons = {f"{key}_reason": "missing_context" for key, value in entered.items() if value == "x"}
    return entered | reasons


def corrections(lesion: Lesion, steps: list[str], text: str) -> dict[str, Any]:
    """Changed steps by field name; nothing where the mended text has other steps than the page."""
    mended = correct(lesion, text)
    texts = [mended[s.start : s.end] for s in parse(mended).steps]
    if mended == text or len(texts) != len(steps):
        return {}
    return {f"step-{n}": new for n, (old, new) in enumerate(zip(steps, texts, strict=True), start=1) if new != old}
