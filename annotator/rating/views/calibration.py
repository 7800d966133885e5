"""Learning to rate: worked examples, then the gate's examples, each answered before its agreed scores are shown."""

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotator.rating import entry
from annotator.rating.door import rater_page
from annotator.rating.drafting import answer_draft, kept_draft
from annotator.rating.learning import example_context, feedback_rows, kappa_rows
from annotator.rating.views.assignment import UNPROCESSABLE
from annotator.rating.views.queue import own_enrolment
from scoring.models import CalibrationAnswer, CalibrationAttempt, CalibrationExample, Enrolment, Study
from scoring.services.calibration import answer_example, save_answer_draft, start_attempt
from scoring.services.examples import examples_of
from scoring.services.reveals import record_reveal

WORKED = CalibrationExample.Role.WORKED


@rater_page
@require_http_methods(["GET", "HEAD", "POST"])
def overview(request: HttpRequest, study: uuid.UUID) -> HttpResponse:
    """What calibration is, how far she is, what her last round told; a POST starts a round or goes on with it."""
    enrolment = own_enrolment(request.user, study)
    if not enrolment.may_rate:
        return redirect("rating:study", study=study)
    problems: list[str] = []
    if request.method == "POST":
        try:
            attempt = start_attempt(rubric=enrolment.study.rubric, rater=request.user)
        except ValidationError as refused:
            problems = refused.messages
        else:
            return redirect("rating:calibration_example", study=study, position=_position(attempt))
    context = _overview(request, enrolment) | {"problems": problems}
    return render(request, "rating/calibration.html", context, status=UNPROCESSABLE if problems else 200)


def _overview(request: HttpRequest, enrolment: Enrolment) -> dict[str, Any]:
    study = enrolment.study
    attempts = CalibrationAttempt.objects.filter(rubric=study.rubric_id, rater=request.user.pk)
    latest = attempts.order_by("-number").first()
    answers = list(latest.answers.all()) if latest else []
    finished = latest if latest is not None and latest.finished_at else None
    return {
        "study": study,
        "passed": enrolment.calibrated_at is not None,
        "latest": latest,
        "answered": sum(answer.answered_at is not None for answer in answers),
        "total": len(answers),
        "kappas": kappa_rows(finished, study.gate_kappa) if finished and study.gate_kappa is not None else [],
        "seen_before": sum(answer.seen_before for answer in answers),
        "worked": range(1, len(examples_of(study.rubric, WORKED)) + 1),
    }


def _position(attempt: CalibrationAttempt) -> int:
    """Where she goes on: the first example that she has not answered, the last once there is none."""
    answers = list(attempt.answers.all())
    return next((one.position for one in answers if one.answered_at is None), len(answers))


@rater_page
@require_http_methods(["GET", "HEAD", "POST"])
def example(request: HttpRequest, study: uuid.UUID, position: int) -> HttpResponse:
    """One example of her round: to be scored, and once it is, with the agreed scores beside hers."""
    enrolment = _taking_part(request, study)
    attempt = CalibrationAttempt.objects.filter(rubric=enrolment.study.rubric_id, rater=request.user.pk).last()
    if attempt is None:
        return redirect("rating:calibration", study=study)
    answers = attempt.answers.select_related("example__version__narrative__case")
    answer = answers.filter(position=position).first()
    if answer is None:
        raise Http404("Her round has no such example.")
    if answer.answered_at is None and position != _position(attempt):
        return redirect("rating:calibration_example", study=study, position=_position(attempt))
    if request.method == "POST":
        return _answer(request, enrolment.study, attempt, answer)
    if answer.answered_at is not None:
        return _feedback(request, enrolment.study, attempt, answer)
    fields = answer.draft.get("fields", {})
    return render(request, "rating/calibration_example.html", _page(enrolment.study, attempt, answer, fields, {}))


@rater_page
@require_POST
def keep_draft(request: HttpRequest, study: uuid.UUID, position: int) -> JsonResponse:
    """As ``answer_draft``, of an example in her last round."""
    enrolment = _taking_part(request, study)
    attempt = CalibrationAttempt.objects.filter(rubric=enrolment.study.rubric_id, rater=request.user.pk).last()
    answer = attempt.answers.filter(position=position).first() if attempt else None
    if answer is None:
        raise Http404("Her round has no such example.")
    return answer_draft(
        request,
        entry.known_fields,
        lambda content, base: (
            save_answer_draft(answer=answer, rater=request.user, content=content, base=base).draft_revision
        ),
        refuse_late=answer.answered_at is not None,
        held=lambda: True,
    )


def _taking_part(request: HttpRequest, study: uuid.UUID) -> Enrolment:
    enrolment = own_enrolment(request.user, study)
    if not enrolment.may_rate:
        raise Http404("She does not take part in this study.")
    return enrolment


def _answer(request: HttpRequest, study: Study, attempt: CalibrationAttempt, answer: CalibrationAnswer) -> HttpResponse:
    fields: dict[str, str] = {}
    try:
        fields = entry.known_fields(request.POST)
        scores = {key: entered.value for key, entered in entry.score_inputs(fields).items()}
        answer_example(answer=answer, rater=request.user, scores=scores)
    except ValidationError as refused:
        keyed = hasattr(refused, "error_dict")
        context = _page(study, attempt, answer, fields, refused.message_dict if keyed else {})
        context["problems"] = [] if keyed else refused.messages
        return render(request, "rating/calibration_example.html", context, status=UNPROCESSABLE)
    return redirect("rating:calibration_example", study=study.public_id, position=answer.position)


def _page(
    study: Study,
    attempt: CalibrationAttempt,
    answer: CalibrationAnswer,
    fields: dict[str, str],
    errors: dict[str, list[str]],
) -> dict[str, Any]:
    """Nothing of the agreed scores is in here."""
    return {
        "study": study,
        "answer": answer,
        "total": attempt.answers.count(),
        "rows": entry.dimension_rows(fields, errors),
        "levels_only": True,
        "draft_key": f"{attempt.rubric_id}-{attempt.number}-{answer.position}",
        **kept_draft(answer.draft, answer.draft_revision),
        **example_context(answer.example.version),
    }


def _feedback(
    request: HttpRequest, study: Study, attempt: CalibrationAttempt, answer: CalibrationAnswer
) -> HttpResponse:
    context = _shown_example(request, study, answer.example) | {
        "answer": answer,
        "total": attempt.answers.count(),
        "is_last": attempt.finished_at is not None and _position(attempt) == answer.position,
        "rows": feedback_rows(answer.example, answer.scores or {}),
        "hers": True,
    }
    return render(request, "rating/calibration_feedback.html", context)


@rater_page
@require_safe
def worked(request: HttpRequest, study: uuid.UUID, number: int) -> HttpResponse:
    """A worked example: the text, its agreed scores, and why."""
    enrolment = _taking_part(request, study)
    examples = examples_of(enrolment.study.rubric, WORKED)
    if not 1 <= number <= len(examples):
        raise Http404("There is no such worked example.")
    context = _shown_example(request, enrolment.study, examples[number - 1]) | {
        "number": number,
        "total": len(examples),
        "rows": feedback_rows(examples[number - 1], {}),
    }
    return render(request, "rating/calibration_feedback.html", context)


def _shown_example(request: HttpRequest, study: Study, shown: CalibrationExample) -> dict[str, Any]:
    """The example with all that is agreed. Its explanations may name the diagnosis, so she knows the reference now."""
    case = shown.version.narrative.case
    record_reveal(rater=request.user, case=case)
    return {"study": study, **example_context(shown.version, with_reference=study.reveal != Study.Reveal.NEVER)}
