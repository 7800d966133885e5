"""After a submission: looking at the reference diagnosis, which seals the scores, and disputing it."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from annotator.rating.door import own_assignment
from annotator.rating.previous import as_previous
from annotator.rating.views.assignment import UNPROCESSABLE
from scoring.models import Assignment, Rating
from scoring.services.disputes import dispute_reference
from scoring.services.reveals import reveal_reference


@own_assignment
@require_POST
def reveal(request: HttpRequest, assignment: Assignment) -> HttpResponse:
    """Shows the reference; from now on a change of her scores is an informed one."""
    rating = _rating(assignment)
    try:
        reveal_reference(rating=rating, rater=request.user)
    except ValidationError as refused:
        messages.error(request, refused.messages[0])
    return _back(request, rating)


@own_assignment
@require_http_methods(["GET", "HEAD", "POST"])
def dispute(request: HttpRequest, assignment: Assignment) -> HttpResponse:
    """Takes her own diagnosis against the reference that she was shown."""
    rating = _rating(assignment)
    problems: list[str] = []
    if request.method == "POST":
        try:
            dispute_reference(
                rating=rating,
                rater=request.user,
                diagnosis=request.POST.get("diagnosis", ""),
                confidence=request.POST.get("confidence", ""),
                note=request.POST.get("note", "")[:2000],
            )
        except ValidationError as refused:
            problems = refused.messages
        else:
            messages.success(request, _("Your diagnosis is noted. An adjudicator looks at it."))
            return _back(request, rating)
    context = {
        "previous": as_previous(rating, request.user),
        "assignment": assignment,
        "problems": problems,
        "entered": request.POST,
    }
    return render(request, "rating/dispute.html", context, status=UNPROCESSABLE if problems else 200)


def _rating(assignment: Assignment) -> Rating:
    ratings = Rating.objects.current().select_related("study", "assignment", "version__narrative__case")
    return get_object_or_404(ratings.prefetch_related("scores"), assignment=assignment)


def _back(request: HttpRequest, rating: Rating) -> HttpResponse:
    """The strip alone for htmx; else where she came from: her list, or the case in hand."""
    if getattr(request, "htmx", False):
        rating.refresh_from_db(fields=["sealed_at"])
        context = {"previous": as_previous(rating, request.user)}
        return render(request, "rating/partials/previous.html", context)
    if request.POST.get("next") == "mine":
        return redirect("rating:mine")
    return redirect("rating:study", study=rating.study.public_id)
