"""How a DermEval is trained, and by which threshold it filters."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from modelhub.forms.runs import SettingsForm, offer
from modelhub.models import ModelVersion
from modelhub.services.dermeval import RULES, dermeval_settings, usable_counts
from scoring.models import Study

LABELS = {
    "sft_steps": (
        _("Supervised steps"),
        _(
            "Left empty: as many as read each critique about six times (six times the critiques, divided by how many "
            "go at once). Below two readings, scores follow the narrative too little."
        ),
    ),
    "sft_lr": (_("Supervised learning rate"), ""),
    "rl_steps": (_("REINFORCE steps"), _("0 leaves the second stage out.")),
    "rl_lr": (_("REINFORCE learning rate"), ""),
    "momentum": (_("Momentum of the baseline"), _("How slowly the moving baseline follows the rewards.")),
    "unread_error": (_("Unread score counts as"), _("Squared points that an unreadable score costs; 25 is the scale.")),
    "temperature": (_("Sampling temperature"), _("Of the critiques that REINFORCE samples.")),
    "reading": (
        _("Reading"),
        _(
            "Greedy: the number as written. Expected: its mean by the model's probabilities. Fitted: the expected one "
            "on a line fitted to physicians' scores."
        ),
    ),
    "fit_share": (
        _("Held out for the lines"),
        _("Share of the cases that neither stage learns from, for the fitted reading."),
    ),
    "batch": (_("At once"), _("Fewer need less memory.")),
    "rank": (_("LoRA rank"), ""),
    "alpha": (_("LoRA alpha"), _("Commonly twice the rank.")),
    "max_new_tokens": (_("Longest critique, tokens"), ""),
    "max_length": (_("Longest record, tokens"), _("A longer one is refused, not cut.")),
    "seed": (_("Seed"), ""),
    "checkpoint_every_steps": (_("Checkpoint every, steps"), _("A stopped training goes on from its last checkpoint.")),
}


class StudyField(forms.ModelChoiceField):
    """Each study with the number of critiques to learn from; ``critiques`` are by its key."""

    critiques: Mapping[int, int] = {}

    def label_from_instance(self, obj: Study) -> str:
        count = self.critiques.get(obj.pk, 0)
        return ngettext("%(study)s (%(count)s critique)", "%(study)s (%(count)s critiques)", count) % {
            "study": obj,
            "count": count,
        }


class DermEvalForm(SettingsForm):
    rules = RULES
    words = LABELS
    more_title = _("More settings")
    prominent = ("sft_steps", "rl_steps")

    base = forms.ModelChoiceField(
        ModelVersion.objects.none(), label=_("Base model"), to_field_name="public_id", empty_label=None
    )
    study = StudyField(
        Study.objects.none(),
        label=_("Study"),
        to_field_name="public_id",
        empty_label=None,
        help_text=_("Its sealed first ratings of training cases are what DermEval learns from."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        bases = ModelVersion.objects.filter(kind=ModelVersion.Kind.BASE)
        offer(self, base=bases, study=Study.objects.exclude(state=Study.State.DRAFT).order_by("-created_at"))
        critiques = usable_counts()
        self.fields["study"].critiques = critiques  # type: ignore[attr-defined]
        self.add_settings(
            dermeval_settings(bases.first() or ModelVersion(), critiques=max(critiques.values(), default=0))
        )
        studies = self.fields["study"].queryset.count()  # type: ignore[attr-defined]
        if studies != 1 or not critiques or len(set(bases.values_list("synthetic", flat=True))) != 1:
            self.fields["sft_steps"].widget.attrs["placeholder"] = _("six readings of each critique")

    def chosen(self) -> dict[str, Any]:
        return {"base": self.cleaned_data["base"], "study": self.cleaned_data["study"], "settings": self.settings()}
