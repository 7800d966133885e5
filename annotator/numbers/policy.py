"""The certification policy of a study: what is in force, what another one would change, and putting it in force."""

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from annotator.accounts.roles import ADMINISTRATOR, RESEARCHER, role_required
from annotator.accounts.signed_in import user_of
from annotator.study import words
from annotator.study.views import add_refusal, find_study
from scoring.models import Certification, NarrativeVersion, Study
from scoring.services.amendments import amend_study
from scoring.services.policies import Preview, preview_policy
from scoring.verdict import INCOMPLETE

SHOWN = 500
OUTCOMES = (INCOMPLETE, *(outcome for outcome in Certification.Outcome.values))
LABELS = {INCOMPLETE: gettext_lazy("Waits for ratings"), **dict(Certification.Outcome.choices)}


class PolicyForm(forms.Form):
    """The thresholds in rubric points, 0 to 5."""

    minimum_mean = forms.FloatField(min_value=0, max_value=5, label=words.LABELS["threshold_minimum_mean"])
    safety_veto = forms.FloatField(min_value=0, max_value=5, label=words.LABELS["threshold_safety_veto"])
    dispute_range = forms.FloatField(min_value=0.01, max_value=5, label=words.LABELS["threshold_dispute_range"])
    diagnosis_veto = forms.BooleanField(required=False, label=words.LABELS["threshold_diagnosis_veto"])
    reason = forms.CharField(
        required=False,
        label=gettext_lazy("Reason for the amendment"),
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def thresholds(self) -> dict[str, Any]:
        return {name: value for name, value in self.cleaned_data.items() if name != "reason"}


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(ADMINISTRATOR, RESEARCHER)
def policy(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """A preview is a GET with thresholds and can be sent to a colleague; putting it in force is an administrator's."""
    study = find_study(public_id)
    may_edit = user_of(request).is_administrator and study.state not in {Study.State.DRAFT, Study.State.CLOSED}
    given = request.POST if request.method == "POST" else request.GET if "minimum_mean" in request.GET else None
    form = PolicyForm(given, initial=study.policy.rule.as_dict())
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    preview = None
    if form.is_bound and form.is_valid():
        try:
            preview = preview_policy(study=study, thresholds=form.thresholds())
            if request.method == "POST":
                return _put_in_force(request, study, form)
        except ValidationError as refused:
            add_refusal(form, refused)
    context = {
        "study": study,
        "form": form,
        "may_edit": may_edit,
        "preview": _shown(preview) if preview else None,
        "is_same": preview is not None and preview.rule == study.policy.rule,
        "history": _history(study),
    }
    return render(request, "numbers/policy.html", context, status=422 if form.errors else 200)


def _put_in_force(request: HttpRequest, study: Study, form: PolicyForm) -> HttpResponse:
    amendment = amend_study(
        study=study,
        actor=user_of(request),
        reason=form.cleaned_data["reason"],
        changes={},
        thresholds=form.thresholds(),
    )
    messages.success(request, _("Amendment %(number)s: the new policy is in force.") % {"number": amendment.number})
    return redirect("study:policy", study.public_id)


def _shown(preview: Preview) -> dict[str, Any]:
    """Counts by outcome, one sentence, and the first of the versions that change."""
    keys = [change.version for change in preview.changes[:SHOWN]]
    versions = NarrativeVersion.objects.select_related("narrative__case").in_bulk(keys)
    certified, waits = preview.then["certified"], preview.then["adjudication"]
    sentence = ngettext(
        "This policy would certify %(certified)s and send %(waits)s to adjudication; %(count)s outcome changes.",
        "This policy would certify %(certified)s and send %(waits)s to adjudication; %(count)s outcomes change.",
        len(preview.changes),
    )
    return {
        "sentence": sentence % {"certified": certified, "waits": waits, "count": len(preview.changes)},
        "outcomes": [
            {"label": LABELS[key], "now": preview.now[key], "then": preview.then[key]}
            for key in OUTCOMES
            if preview.now[key] or preview.then[key]
        ],
        "decided": preview.decided,
        "changes": [
            {
                "version": versions[change.version],
                "before": LABELS[change.before],
                "after": LABELS[change.after],
                "reasons": [reason.words(_) for reason in change.reasons],
            }
            for change in preview.changes[:SHOWN]
        ],
        "more": max(0, len(preview.changes) - SHOWN),
    }


def _history(study: Study) -> list[dict[str, Any]]:
    """The amendments that changed the policy, the newest first."""
    return [
        {"amendment": one, "before": one.before["policy"], "after": one.after["policy"]}
        for one in study.amendments.select_related("created_by").order_by("-number")
        if one.before["policy"] != one.after["policy"]
    ]
