"""What a rater enters: scores and marks as plain values, and the checks that refuse what is off the scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from scoring.models import CaseImage, Mark, NarrativeVersion
from scoring.rubric import CANNOT_JUDGE_REASONS, DIMENSION_NAMES, LEVELS, dimensions_in


@dataclass(frozen=True)
class ScoreInput:
    """One dimension as entered: a level of the rubric, or ``None`` with a reason key."""

    value: float | None
    cannot_judge: str = ""
    comment: str = ""


@dataclass(frozen=True)
class MarkInput:
    """One step's mark as entered; see ``scoring.models.Mark`` for units."""

    step: int
    verdict: str
    error_type: str = ""
    severity: str = ""
    dimension: str = ""
    span_start: int | None = None
    span_end: int | None = None
    image: CaseImage | None = None
    point_x: float | None = None
    point_y: float | None = None
    note: str = ""


def check_scores(scores: Mapping[str, ScoreInput]) -> None:
    """Raises ``ValidationError``, keyed by dimension, unless all six are on the scale or say why not."""
    problems: dict[str, list[str]] = {}
    for key, name in ((dimension.key, dimension.name) for dimension in dimensions_in(get_language())):
        entry = scores.get(key)
        if entry is None:
            problems[key] = [_("Score %(name)s, or choose “cannot judge”.") % {"name": name}]
        elif entry.value is None and entry.cannot_judge not in CANNOT_JUDGE_REASONS:
            problems[key] = [_("Say why %(name)s cannot be judged.") % {"name": name}]
        elif entry.value is not None and entry.cannot_judge:
            problems[key] = [_("%(name)s has a score and a “cannot judge”. Keep one of them.") % {"name": name}]
        elif entry.value is not None and entry.value not in LEVELS:
            problems[key] = [
                _("%(name)s takes a whole number from %(lowest)s to %(highest)s.")
                % {"name": name, "lowest": LEVELS[0], "highest": LEVELS[-1]}
            ]
    unknown = set(scores) - set(DIMENSION_NAMES)
    if unknown:
        raise ValidationError(_("Unknown dimension: %(names)s.") % {"names": ", ".join(sorted(unknown))})
    if problems:
        raise ValidationError(problems)


def check_marks(version: NarrativeVersion, marks: Sequence[MarkInput]) -> None:
    """Raises ``ValidationError``, naming the step, for a mark that does not fit the text or the images."""
    steps = version.step_list()
    marked: set[int] = set()
    for mark in marks:
        if not 1 <= mark.step <= len(steps):
            raise ValidationError(_("There is no step %(step)s in this narrative.") % {"step": mark.step})
        if mark.step in marked:
            raise ValidationError(_("Step %(step)s is marked twice. Keep one mark.") % {"step": mark.step})
        marked.add(mark.step)
        step = steps[mark.step - 1]
        problem = _judgement_problem(mark) or _span_problem(mark, step.start, step.end) or _point_problem(mark, version)
        if problem:
            raise ValidationError(_("Step %(step)s: %(problem)s") % {"step": mark.step, "problem": problem})


def _judgement_problem(mark: MarkInput) -> str:
    if mark.verdict not in Mark.Verdict.values:
        return _("mark it as right or as an error.")
    if (mark.verdict == Mark.Verdict.ERROR) != (mark.error_type in Mark.ErrorType.values):
        return _("an error needs its type.")
    if mark.verdict == Mark.Verdict.OK and (mark.error_type or mark.severity):
        return _("a step marked as right has no type and no severity.")
    if mark.severity and mark.severity not in Mark.Severity.values:
        return _("an error is minor or major.")
    if mark.dimension and mark.dimension not in DIMENSION_NAMES:
        return _("choose one of the six dimensions, or none.")
    return ""


def _span_problem(mark: MarkInput, start: int, end: int) -> str:
    if mark.span_start is None and mark.span_end is None:
        return ""
    if mark.span_start is None or mark.span_end is None or not start <= mark.span_start < mark.span_end <= end:
        return _("the marked words lie outside the step. Mark them again.")
    return ""


def _point_problem(mark: MarkInput, version: NarrativeVersion) -> str:
    if mark.image is None and mark.point_x is None and mark.point_y is None:
        return ""
    if mark.image is None or mark.point_x is None or mark.point_y is None:
        return _("a point needs its image and both coordinates.")
    if mark.image.case_id != version.narrative.case_id:
        return _("the point lies on an image of another case.")
    if not (0 <= mark.point_x <= 1 and 0 <= mark.point_y <= 1):
        return _("the point lies outside the image. Set it again.")
    return ""
