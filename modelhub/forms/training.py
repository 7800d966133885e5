"""How an adapter is trained."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from modelhub.forms.runs import SettingsForm, offer
from modelhub.models import ModelVersion
from modelhub.services.model_settings import TRAINING_RULES, training_settings

SETTING_LABELS = {
    "recipe": (
        _("Recipe"),
        _("LoRA: the language model. Dual distillation: the side branch that reads the image."),
    ),
    "epochs": (_("Epochs"), _("How often every record is seen.")),
    "lr": (_("Learning rate"), _("Highest rate; it warms up, then falls along a cosine.")),
    "rank": (_("LoRA rank"), _("Size of the adapter's matrices.")),
    "alpha": (_("LoRA alpha"), _("Scale of the adapter; commonly twice the rank.")),
    "batch": (_("Records at once"), _("Fewer need less memory.")),
    "grad_accumulation": (_("Batches per step"), _("Records at once × this = records per step.")),
    "warmup": (_("Warm-up"), _("Share of all steps.")),
    "weight_decay": (_("Weight decay"), ""),
    "max_grad_norm": (_("Largest gradient norm"), ""),
    "seed": (_("Seed"), _("Order of the records and first values of the adapter.")),
    "max_length": (_("Longest record, tokens"), _("A longer record is refused, not cut.")),
    "checkpoint_every_steps": (_("Checkpoint every, steps"), _("A stopped training goes on from its last checkpoint.")),
}
TEACHER_LIST = "teacher-names"  # id of the page's <datalist>


class TrainingForm(SettingsForm):
    rules = TRAINING_RULES
    words = SETTING_LABELS
    more_title = _("More settings")
    prominent = ("recipe", "epochs", "lr", "rank")

    base = forms.ModelChoiceField(
        ModelVersion.objects.none(),
        label=_("Start from"),
        to_field_name="public_id",
        empty_label=None,
        help_text=_("A base, or an adapter that is trained further."),
    )
    teacher = forms.CharField(
        required=False,
        max_length=250,
        label=_("Teacher"),
        help_text=_(
            "For recipes with distillation: an image encoder on the server, or organisation/model@revision of the "
            "Hugging Face hub. Its features of all images are made first. Empty: none of them has any."
        ),
        widget=forms.TextInput(attrs={"list": TEACHER_LIST, "placeholder": _("no teacher"), "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        bases = ModelVersion.objects.exclude(kind=ModelVersion.Kind.ENDPOINT).order_by("-kind", "-created_at")
        offer(self, base=bases)
        self.add_settings(training_settings(bases.first() or ModelVersion()))
        self.order_fields(["base", "recipe", "teacher"])

    def chosen(self) -> dict[str, Any]:
        chosen = self.cleaned_data
        return {"base": chosen["base"], "teacher": chosen["teacher"], "settings": self.settings()}
