"""The study that a page is about: the one asked for, else the newest that runs, else the newest."""

from django.core.exceptions import ValidationError
from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.http import Http404, HttpRequest

from scoring.models import Study


def studies() -> QuerySet[Study]:
    """Running ones first, the newest first among equals."""
    order = Case(When(state=Study.State.RUNNING, then=Value(0)), default=Value(1), output_field=IntegerField())
    return Study.objects.select_related("policy", "rubric").order_by(order, "-pk")


def study_of(request: HttpRequest) -> Study | None:
    """``None`` when there is no study yet. Raises 404 for an id that names none."""
    asked = request.GET.get("study") or request.POST.get("study")
    if not asked:
        return studies().first()
    try:
        return studies().get(public_id=asked)
    except (Study.DoesNotExist, ValidationError) as error:
        raise Http404("No such study") from error
