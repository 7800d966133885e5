"""The list of cases and a case's own page: administrators act, researchers read."""

import uuid

from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from annotator.accounts.roles import ADMINISTRATOR, RESEARCHER, role_required
from annotator.accounts.signed_in import user_of
from annotator.cases.filters import CaseFilter, choices
from scoring.models import Case, CaseImage, Narrative, NarrativeVersion
from scoring.services.reveals import record_reveals
from scoring.services.sources import rights_in_words

PER_PAGE = 24


@role_required(ADMINISTRATOR, RESEARCHER)
@never_cache
@require_safe
def case_list(request: HttpRequest) -> HttpResponse:
    asked = CaseFilter.from_query(request.GET)
    first_images = Prefetch("images", CaseImage.objects.filter(position=0), to_attr="first_image")
    cases = asked.cases().select_related("source", "group").prefetch_related(first_images)
    page = Paginator(cases, PER_PAGE).get_page(request.GET.get("page"))
    record_reveals(rater=user_of(request), cases=page)
    context = {"page_obj": page, "asked": asked}
    if getattr(request, "htmx", False):
        return render(request, "cases/partials/case_cards.html", context)
    return render(request, "cases/list.html", context | choices())


@role_required(ADMINISTRATOR, RESEARCHER)
@never_cache
@require_safe
def case_detail(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    found = Case.objects.select_related("source", "group").prefetch_related("images")
    case = get_object_or_404(found, public_id=public_id)
    record_reveals(rater=user_of(request), cases=[case])
    versions = Prefetch("versions", NarrativeVersion.objects.order_by("number").prefetch_related("certifications"))
    narratives = Narrative.objects.filter(case=case).order_by("pk").prefetch_related(versions)
    context = {
        "case": case,
        "rights": rights_in_words(case.source),
        "others_in_group": Case.objects.filter(group=case.group).exclude(pk=case.pk).count(),
        "flags": case.flags.select_related("resolved_by").order_by("-pk"),
        "narratives": [narrative_row(number, one) for number, one in enumerate(narratives, start=1)],
    }
    return render(request, "cases/detail.html", context)


def narrative_row(number: int, narrative: Narrative) -> dict[str, object]:
    """A narrative by its number and its latest version; what wrote it stands on the model hub's pages."""
    versions = list(narrative.versions.all())
    latest = versions[-1] if versions else None
    current = [c for version in versions for c in version.certifications.all() if c.is_current]
    return {
        "number": number,
        "narrative": narrative,
        "versions": len(versions),
        "latest": latest,
        "outcome": current[-1] if current else None,
    }
