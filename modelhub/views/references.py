"""References that came with imported cases: the flagged ones first, and a benchmark version without some of them."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count, Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from modelhub.forms.references import ReferencesForm
from modelhub.views.access import ADJUDICATOR, ADMINISTRATOR, reference_form, reference_page
from modelhub.views.refusals import add_refusal
from scoring.models import NarrativeVersion, ReferenceFlag, Source, Split
from scoring.services.references import exclusions_of, freeze_references, imported_references
from scoring.services.reveals import record_reveals

PER_PAGE = 50


@reference_page
def reference_sources(request: HttpRequest) -> HttpResponse:
    """Every source whose evaluation cases came with texts."""
    texts = NarrativeVersion.objects.filter(
        author_kind=NarrativeVersion.Author.IMPORT,
        narrative__case__source=OuterRef("pk"),
        narrative__case__group__split=Split.EVALUATION,
    )
    sources = list(Source.objects.filter(Exists(texts)).order_by("name"))
    rows = [{"source": source, "texts": imported_references(source).count()} for source in sources]
    return render(request, "modelhub/reference_sources.html", {"rows": rows})


@require_http_methods(["GET", "HEAD", "POST"])
@reference_form
def references(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    source = get_object_or_404(Source, public_id=public_id)
    form = ReferencesForm(request.POST or None, source=source)
    if request.method == "POST" and form.is_valid():
        try:
            dataset = freeze_references(
                study=form.cleaned_data["study"],
                source=source,
                exclude=form.excluded(),
                reason=form.cleaned_data["reason"],
                actor=request.user,
            )
        except ValidationError as error:
            add_refusal(form, error)
        else:
            words = _("%(dataset)s is frozen: %(items)s references, %(excluded)s excluded.")
            counts = {"items": dataset.item_count, "excluded": dataset.exclusions.count()}
            messages.success(request, words % {"dataset": dataset, **counts})
            return redirect("modelhub:references", source.public_id)
    context = reference_context(source, request.GET.get("page")) | {
        "form": form,
        "may_freeze": request.user.is_authenticated and request.user.has_role(ADMINISTRATOR, ADJUDICATOR),
    }
    record_reveals(rater=request.user, cases=[row["text"].narrative.case for row in context["rows"]])
    return render(request, "modelhub/references.html", context, status=422 if form.errors else 200)


def reference_context(source: Source, page: str | None) -> dict[str, Any]:
    texts = imported_references(source)
    counted = texts.annotate(flags=Count("reference_flags")).select_related("narrative__case")
    shown = Paginator(counted.prefetch_related("reference_flags").order_by("-flags", "pk"), PER_PAGE).get_page(page)
    out = exclusions_of(source)
    found = ReferenceFlag.objects.filter(version__in=texts.values("pk"))
    by_kind = dict(found.order_by().values_list("kind").annotate(n=Count("pk")))
    return {
        "source": source,
        "page_obj": shown,
        "rows": [{"text": text, "excluded": out.get(text.pk)} for text in shown],
        "kinds": [(label, by_kind.get(kind, 0)) for kind, label in ReferenceFlag.Kind.choices],
        "total": shown.paginator.count,
        "flagged": found.values("version").distinct().count(),
        "excluded": len(out),
    }
