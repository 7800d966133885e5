"""Who may open a rating page: dermatologists, and each only the assignments she holds."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import never_cache

from annotator.accounts.roles import DERMATOLOGIST, role_required
from scoring.models import Assignment, Enrolment

View = Callable[..., HttpResponseBase]


def rater_page(view: View) -> View:
    """For dermatologists only; patients' pictures and texts are never kept by a cache."""
    return never_cache(role_required(DERMATOLOGIST)(view))


def own_assignment(view: View) -> View:
    """Passes the rater's own assignment instead of its public id; anything else is a 404."""

    @wraps(view)
    def opened(request: HttpRequest, public_id: uuid.UUID, **kwargs: Any) -> HttpResponseBase:
        hers = Assignment.objects.filter(
            rater=request.user.pk,
            state__in=[Assignment.State.CLAIMED, Assignment.State.SUBMITTED],
            study__enrolments__in=Enrolment.objects.filter(
                rater=request.user.pk, accepted_at__isnull=False, withdrawn_at__isnull=True
            ),
        ).select_related("study", "version__narrative__case")
        return view(request, get_object_or_404(hers, public_id=public_id), **kwargs)

    return rater_page(opened)
