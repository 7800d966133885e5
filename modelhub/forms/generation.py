"""Choosing cases, a model and how it writes."""

import uuid
from typing import Any

from django import forms
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext_lazy as _

from modelhub.forms.runs import SettingsForm, offer
from modelhub.models import Generation, ModelVersion
from modelhub.services.generation import MOST_CASES
from modelhub.services.model_settings import GENERATION_RULES, generation_settings
from scoring.models import Case, CaseImage, Source, Split, Study

SETTING_LABELS = {
    "do_sample": (_("Sampling"), _("No: the likeliest word each time, the same text every time.")),
    "temperature": (_("Temperature"), _("Only with sampling; lower is more cautious.")),
    "top_p": (_("Top p"), _("Only with sampling; share of the probability that is drawn from.")),
    "repetition_penalty": (_("Repetition penalty"), _("1 is none.")),
    "no_repeat_ngram": (
        _("No repeated sequence of"),
        _("Tokens; 0 is no such rule, 3 is what the interactive service had."),
    ),
    "max_new_tokens": (_("Longest text, tokens"), _("A text that is cut off is marked as truncated.")),
    "min_pixels": (_("Smallest picture, pixels"), _("A smaller one is enlarged.")),
    "max_pixels": (_("Largest picture, pixels"), _("A larger one is reduced; fewer pixels need less memory and time.")),
    "seed": (_("Seed"), _("The same seed and settings give the same texts.")),
    "batch_size": (_("Cases at once"), _("Fewer need less memory.")),
    "bias_mode": (_("Language bias of the side branch"), _("For models that carry one.")),
}
SEPARATOR = "|"
UNKNOWN_TONE = "unknown"


class GenerationForm(SettingsForm):
    """Sent by GET: the same address shows the same plan again."""

    rules = GENERATION_RULES
    words = SETTING_LABELS

    model = forms.ModelChoiceField(
        ModelVersion.objects.none(), label=_("Model version"), to_field_name="public_id", empty_label=None
    )
    split = forms.ChoiceField(choices=[("", _("Both splits")), *Split.choices], required=False, label=_("Split"))
    source = forms.ModelChoiceField(
        Source.objects.none(),
        required=False,
        to_field_name="public_id",
        empty_label=_("Every source"),
        label=_("Source"),
    )
    tone = forms.ChoiceField(required=False, label=_("Skin tone"))
    number = forms.IntegerField(
        min_value=1,
        max_value=MOST_CASES,
        required=False,
        label=_("At most"),
        help_text=_("Empty: every case that fits."),
    )
    study = forms.ModelChoiceField(
        Study.objects.none(),
        required=False,
        to_field_name="public_id",
        empty_label=_("No study: do not queue for rating"),
        label=_("Queue for rating in"),
        help_text=_("Each narrative is put before the study's raters as soon as it is written."),
    )
    unwritten = forms.BooleanField(
        required=False, label=_("Only cases without a narrative by this model"), label_suffix="", initial=True
    )
    with_image = forms.BooleanField(
        required=False, label=_("Leave out cases without an image"), label_suffix="", initial=True
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        models = ModelVersion.objects.order_by("-created_at")
        offer(
            self,
            model=models,
            source=Source.objects.order_by("name"),
            study=Study.objects.filter(state__in=["running", "paused"]).order_by("-created_at"),
        )
        tone = self.fields["tone"]
        assert isinstance(tone, forms.ChoiceField)
        tone.choices = [("", _("Every skin tone")), *tone_choices()]
        self.add_settings(generation_settings(self._asked_for(models) or models.first() or ModelVersion()))

    def _asked_for(self, models: QuerySet[ModelVersion]) -> ModelVersion | None:
        """The model whose defaults the placeholders show."""
        asked = str(self.data.get("model") or self.initial.get("model"))
        try:
            return models.filter(public_id=uuid.UUID(asked)).first()
        except ValueError:
            return None

    def chosen(self) -> dict[str, Any]:
        asked = {"model": self.cleaned_data["model"], "study": self.cleaned_data["study"]}
        return asked | {"cases": self.cases(), "settings": self.settings()}

    def cases(self) -> QuerySet[Case]:
        """The cases that fit, oldest first up to the number asked for. Valid forms only."""
        chosen = self.cleaned_data
        cases: QuerySet[Case] = Case.objects.all()
        if chosen["split"]:
            cases = cases.filter(group__split=chosen["split"])
        if chosen["source"]:
            cases = cases.filter(source=chosen["source"])
        cases = of_tone(cases, chosen["tone"])
        if chosen.get("unwritten"):
            written = Generation.objects.filter(case=OuterRef("pk"), model=chosen["model"], state=Generation.State.DONE)
            cases = cases.exclude(Exists(written))
        if chosen["with_image"]:
            cases = cases.filter(Exists(CaseImage.objects.filter(case=OuterRef("pk"))))
        if chosen["number"]:
            cases = Case.objects.filter(pk__in=cases.order_by("pk").values("pk")[: chosen["number"]])
        return cases


def tone_choices() -> list[tuple[str, str]]:
    """Every tone that a case has, named with its scale."""
    pairs = Case.objects.order_by("skin_tone_scale", "skin_tone").values_list("skin_tone_scale", "skin_tone").distinct()
    return [
        (f"{scale}{SEPARATOR}{tone}", f"{tone} ({scale})") if tone else (UNKNOWN_TONE, str(_("not recorded")))
        for scale, tone in pairs
    ]


def of_tone(cases: QuerySet[Case], choice: str) -> QuerySet[Case]:
    """Cases of a tone as :func:`tone_choices` names it; all of them for an empty choice."""
    if not choice:
        return cases
    if choice == UNKNOWN_TONE:
        return cases.filter(skin_tone="")
    scale, __, tone = choice.partition(SEPARATOR)
    return cases.filter(skin_tone_scale=scale, skin_tone=tone)
