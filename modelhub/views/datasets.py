"""DermCoT and its versions: freeze, look into, download, retrain on."""

import uuid
from functools import partial

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from modelhub.forms.freezing import FreezeForm
from modelhub.forms.training import TrainingForm
from modelhub.models import Artifact, ModelVersion, Training
from modelhub.services.exports import request_export
from modelhub.services.teachers import teacher_names
from modelhub.services.training import request_training
from modelhub.views.access import administrator_action, administrator_form, staff_action, staff_page
from modelhub.views.dataset_overview import dataset_context
from modelhub.views.labelled import labelled_page
from modelhub.views.refusals import show_refusal
from modelhub.views.start import missing_model, start_page
from scoring.models import DatasetVersion
from scoring.services.datasets import freeze_dataset
from scoring.services.reveals import record_reveals

ITEMS_PER_PAGE = 50


@staff_page
def dermcot(request: HttpRequest) -> HttpResponse:
    return render(request, "modelhub/dermcot.html", dataset_context(request, DatasetVersion.Kind.DERMCOT))


@administrator_action
def dataset_freeze(request: HttpRequest) -> HttpResponse:
    form = FreezeForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose a study that has started."))
        return redirect("modelhub:dermcot")
    kind = form.cleaned_data["kind"]
    try:
        dataset = freeze_dataset(kind=kind, study=form.cleaned_data["study"], actor=request.user)
    except ValidationError as error:
        show_refusal(request, error)
        return redirect(f"modelhub:{kind}")
    messages.success(
        request, _("%(dataset)s is frozen with %(number)s items.") % {"dataset": dataset, "number": dataset.item_count}
    )
    return redirect("modelhub:dataset_detail", dataset.public_id)


@staff_page
def dataset_detail(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    dataset = get_object_or_404(DatasetVersion.objects.select_related("study", "created_by"), public_id=public_id)
    if dataset.kind == DatasetVersion.Kind.LABELLED:
        return labelled_page(request, dataset)
    items = dataset.items.select_related("version__narrative__case", "certification").order_by("position")
    page = Paginator(items, ITEMS_PER_PAGE).get_page(request.GET.get("page"))
    record_reveals(rater=request.user, cases=[item.version.narrative.case for item in page])
    context = {
        "dataset": dataset,
        "page_obj": page,
        "artifacts": Artifact.objects.filter(dataset=dataset).order_by("-created_at")[:5],
        "trainings": Training.objects.filter(dataset=dataset).select_related("run", "base", "result").order_by("-pk"),
        "is_dermcot": dataset.kind != DatasetVersion.Kind.DERMBENCH,
        "exclusions": dataset.exclusions.select_related("version__narrative__case", "excluded_by").order_by("pk"),
    }
    return render(request, "modelhub/dataset_detail.html", context)


@staff_action
def dataset_export(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    dataset = get_object_or_404(DatasetVersion, public_id=public_id)
    try:
        run = request_export(dataset=dataset, actor=request.user)
    except ValidationError as error:
        show_refusal(request, error)
        return redirect("modelhub:dataset_detail", public_id)
    messages.success(
        request, _("The export of %(dataset)s is queued; its download appears here.") % {"dataset": dataset}
    )
    return redirect("modelhub:run_detail", run.public_id)


@require_http_methods(["GET", "HEAD", "POST"])
@administrator_form
def retrain(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """A new adapter on a DermCoT version; benchmarks have no such page."""
    benchmarks = (DatasetVersion.Kind.DERMBENCH, DatasetVersion.Kind.LABELLED)
    found = DatasetVersion.objects.exclude(kind__in=benchmarks).select_related("study")
    dataset = get_object_or_404(found, public_id=public_id)
    return start_page(
        request,
        TrainingForm(request.POST or None),
        partial(request_training, dataset=dataset),
        template="modelhub/retrain.html",
        queued=_("The training is queued."),
        missing=missing_model(_("Training starts from a model. Register one first."), kind=ModelVersion.Kind.BASE),
        dataset=dataset,
        teachers=teacher_names(),
    )
