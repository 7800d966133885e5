"""Who may open a rating page: dermatologists, and each only the assignments she holds."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import never_cache

from annotator.accounts.roles import DERMATOLOGIST, role_required
from annotator.accounts.signed_in import user_of
from scoring.models import Assignment, Enrolment, RatingDraft

OPENED = (Assignment.State.CLAIMED, Assignment.State.SUBMITTED)
View = Callable[..., HttpResponseBase]


def rater_page(view: View) -> View:
    """For dermatologists only; patients' pictures and texts are never kept by a cache."""
    return never_cache(role_required(DERMATOLOGIST)(view))


def own_assignment(view: View) -> View:
    """Passes the rater's own assignment instead of its public id; anything else is a 404."""
    return _assignment_door(view, lambda rater: Q(rater=rater, state__in=OPENED))


def begun_assignment(view: View) -> View:
    """The same, and assignments that she had begun before they went to somebody else."""
    return _assignment_door(view, lambda rater: Q(rater=rater, state__in=OPENED) | Q(begun_by(rater)))


def begun_by(rater: int) -> Exists:
    return Exists(RatingDraft.objects.filter(assignment=OuterRef("pk"), rater=rater))


def _assignment_door(view: View, hers: Callable[[int], Q]) -> View:
    @wraps(view)
    def opened(request: HttpRequest, public_id: uuid.UUID, **kwargs: Any) -> HttpResponseBase:
        rater = user_of(request).pk
        found = Assignment.objects.filter(hers(rater)).select_related("study", "version__narrative__case")
        assignment = get_object_or_404(found, public_id=public_id)
        accepted = Enrolment.objects.filter(rater=rater, accepted_at__isnull=False, withdrawn_at__isnull=True)
        if not accepted.filter(study=assignment.study_id).exists():
            raise Http404("She does not take part in this study.")
        return view(request, assignment, **kwargs)

    return rater_page(opened)
