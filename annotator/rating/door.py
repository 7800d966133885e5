"""Who may open a rating page: dermatologists, and each only the assignments she holds."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db.models import Exists, OuterRef, Q, UUIDField
from django.http import Http404, HttpRequest, HttpResponseBase
from django.views.decorators.cache import never_cache

from annotator.accounts.roles import DERMATOLOGIST, role_required
from annotator.accounts.signed_in import user_of
from scoring.models import Assignment, Enrolment, RatingDraft
from scoring.prepared import Given, Prepared

OPENED = Q(rater=Given("rater"), state__in=(Assignment.State.CLAIMED, Assignment.State.SUBMITTED))
BEGUN = Exists(RatingDraft.objects.filter(assignment=OuterRef("pk"), rater=Given("rater")))
View = Callable[..., HttpResponseBase]


def rater_page(view: View) -> View:
    """For dermatologists only; patients' pictures and texts are never kept by a cache."""
    return never_cache(role_required(DERMATOLOGIST)(view))


def own_assignment(view: View) -> View:
    """Passes the rater's own assignment instead of its public id; anything else is a 404."""
    return _assignment_door(view, _open_to_her(OPENED))


def begun_assignment(view: View) -> View:
    """The same, and assignments that she had begun before they went to somebody else."""
    return _assignment_door(view, _open_to_her(OPENED | Q(BEGUN)))


def _open_to_her(hers: Q) -> Prepared[Assignment]:
    accepted = Enrolment.objects.filter(accepted_at__isnull=False, withdrawn_at__isnull=True)
    takes_part = Exists(accepted.filter(study=OuterRef("study"), rater=Given("rater")))
    found = Assignment.objects.select_related("study__policy", "version__narrative__case")
    return Prepared(lambda: found.filter(hers, takes_part, public_id=Given("public_id", UUIDField())))


def _assignment_door(view: View, hers: Prepared[Assignment]) -> View:
    @wraps(view)
    def opened(request: HttpRequest, public_id: uuid.UUID, **kwargs: Any) -> HttpResponseBase:
        assignment = hers.first(rater=user_of(request).pk, public_id=public_id)
        if assignment is None:
            raise Http404("There is no such assignment for her.")
        return view(request, assignment, **kwargs)

    return rater_page(opened)
