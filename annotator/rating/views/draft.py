"""What the page sends by itself: drafts as they are typed, and the heartbeat that keeps the slot hers."""

from datetime import timedelta

from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotator.rating import entry
from annotator.rating.door import begun_assignment, own_assignment
from annotator.rating.drafting import answer_draft
from annotator.rating.splices import with_steps
from scoring.models import Assignment
from scoring.services.queue import renew_lease
from scoring.services.rating_drafts import save_draft

RENEW_AFTER = timedelta(minutes=1)


@begun_assignment
@require_POST
def keep_draft(request: HttpRequest, assignment: Assignment) -> JsonResponse:
    """As ``answer_draft``; what was left behind in a browser changes no rating that was submitted."""
    return answer_draft(
        request,
        lambda fields: entry.known_fields(with_steps(fields, assignment.version)),
        lambda content, base: (
            save_draft(assignment=assignment, rater=request.user, content=content, base=base).revision
        ),
        refuse_late=assignment.state == Assignment.State.SUBMITTED,
        held=lambda: _is_held(request, assignment),
    )


def _is_held(request: HttpRequest, assignment: Assignment) -> bool:
    """Whether the slot is hers; its lease is renewed, once a minute while she types."""
    if assignment.rater_id != request.user.pk:
        return False
    if assignment.state == Assignment.State.SUBMITTED or assignment.lease_expires is None:
        return True
    full = timezone.now() + timedelta(minutes=assignment.study.lease_minutes)
    if full - assignment.lease_expires < RENEW_AFTER:
        return True
    return renew_lease(assignment=assignment, rater=request.user)


@own_assignment
@require_POST
def keep_lease(request: HttpRequest, assignment: Assignment) -> JsonResponse:
    """Extends the lease; 409 once the narrative was submitted or passed on."""
    if renew_lease(assignment=assignment, rater=request.user):
        return JsonResponse({"held": True})
    return JsonResponse({"error": _("This narrative is no longer assigned to you. Take the next one.")}, status=409)
