"""Classification benchmarks: versions of labelled cases without any text, and runs on them."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from modelhub.forms.benchmark import ClassificationForm, FreezeLabelledForm
from modelhub.services.benchmarks import request_benchmark
from modelhub.views.access import ADMINISTRATOR, staff_form
from modelhub.views.dataset_overview import PER_PAGE, frozen, with_artifacts
from modelhub.views.refusals import add_refusal
from modelhub.views.results import benchmark_runs
from modelhub.views.start import Missing, missing_model, start_page
from scoring.models import DatasetVersion
from scoring.services.labelled import freeze_labelled, labelled_sources

LABELLED = DatasetVersion.Kind.LABELLED
RUNS_PER_PAGE = 20


@require_http_methods(["GET", "HEAD", "POST"])
@staff_form
def classification(request: HttpRequest) -> HttpResponse:
    """Sources that could be frozen, frozen versions, runs; administrators freeze."""
    sources = labelled_sources()
    form = FreezeLabelledForm(request.POST or None, sources=[row["source"] for row in sources])
    may_freeze = request.user.is_authenticated and request.user.has_role(ADMINISTRATOR)
    if request.method == "POST" and not may_freeze:
        raise PermissionDenied(_("Administrators freeze versions. Ask one."))
    if request.method == "POST" and form.is_valid():
        try:
            dataset = freeze_labelled(**form.cleaned_data, actor=request.user)
        except ValidationError as error:
            add_refusal(form, error)
        else:
            words = _("%(dataset)s is frozen with %(number)s items.")
            messages.success(request, words % {"dataset": dataset, "number": dataset.item_count})
            return redirect("modelhub:dataset_detail", dataset.public_id)
    runs = benchmark_runs().filter(dataset__kind=LABELLED).order_by("-run__created_at", "-pk")
    page = Paginator(frozen(LABELLED), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "sources": sources,
        "form": form,
        "may_freeze": may_freeze,
        "page_obj": page,
        "versions": with_artifacts(page),
        "runs": Paginator(runs, RUNS_PER_PAGE).get_page(request.GET.get("runs")),
    }
    return render(request, "modelhub/classification.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_form
def classification_start(request: HttpRequest) -> HttpResponse:
    return start_page(
        request,
        ClassificationForm(request.POST or None, initial=request.GET.dict()),
        request_benchmark,
        template="modelhub/classification_start.html",
        queued=_("The classification run is queued."),
        missing=missing_for_classification(),
    )


def missing_for_classification() -> Missing | None:
    """What has to exist before a model can be asked, with the way there."""
    if not DatasetVersion.objects.filter(kind=LABELLED).exists():
        return Missing(
            _("No classification version is frozen yet"),
            _("Freeze a version and register a model first."),
            _("Classification"),
            reverse("modelhub:classification"),
        )
    return missing_model(_("Freeze a version and register a model first."))
