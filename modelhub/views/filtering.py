"""Keeping what an evaluation scored above a threshold: seen first, then frozen."""

import uuid

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from modelhub.forms.runs import offer
from modelhub.models import EvaluationRun
from modelhub.services.filtering import freeze_filter, preview_filter, threshold_version
from modelhub.views.access import administrator_form
from modelhub.views.refusals import add_refusal
from scoring.models import Study


class FilterForm(forms.Form):
    study = forms.ModelChoiceField(
        Study.objects.none(),
        label=gettext_lazy("Study"),
        to_field_name="public_id",
        empty_label=None,
        help_text=gettext_lazy("Only narratives that were queued in it can be kept."),
    )
    minimum_mean = forms.FloatField(
        min_value=0, max_value=5, initial=4.0, label=gettext_lazy("Least mean of the six dimensions")
    )
    minimum_each = forms.FloatField(
        min_value=0, max_value=5, initial=3.0, label=gettext_lazy("Least score on each dimension")
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        offer(self, study=Study.objects.exclude(state=Study.State.DRAFT).order_by("-created_at"))


@require_http_methods(["GET", "HEAD", "POST"])
@administrator_form
def filter_candidates(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Of one evaluation run. A POST previews, or freezes where the button *Freeze* sent it."""
    found = EvaluationRun.objects.select_related("run", "evaluator")
    evaluation = get_object_or_404(found, run__public_id=public_id)
    form, preview = FilterForm(request.POST or None), None
    if request.method == "POST" and form.is_valid():
        chosen, study = form.cleaned_data, form.cleaned_data["study"]
        threshold = threshold_version(
            evaluator=evaluation.evaluator,
            minimum_mean=chosen["minimum_mean"],
            minimum_each=chosen["minimum_each"],
            actor=request.user,
        )
        preview = preview_filter(evaluation=evaluation, threshold=threshold, study=study)
        if "freeze" in request.POST:
            try:
                dataset = freeze_filter(evaluation=evaluation, threshold=threshold, study=study, actor=request.user)
            except ValidationError as error:
                add_refusal(form, error)
            else:
                messages.success(request, _("%(dataset)s is frozen.") % {"dataset": dataset})
                return redirect("modelhub:dataset_detail", dataset.public_id)
    context = {"form": form, "evaluation": evaluation, "preview": preview}
    return render(request, "modelhub/filter.html", context, status=422 if form.errors else 200)
