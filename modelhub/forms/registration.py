"""Which checkpoint to register, and under which name."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from modelhub.forms.runs import RunForm
from modelhub.services.registration import model_folders


class RegistrationForm(RunForm):
    name = forms.CharField(
        max_length=120, label=_("Name"), help_text=_("How people will know it. It cannot be changed later.")
    )
    folder = forms.ChoiceField(required=False, label=_("Folder on the server"))
    hub_id = forms.CharField(
        required=False, max_length=200, label=_("or a model of the Hugging Face hub"), help_text=_("organisation/model")
    )
    revision = forms.CharField(
        required=False,
        max_length=120,
        label=_("Revision there"),
        help_text=_("A commit hash, a branch or a tag; empty is main. The commit is recorded."),
    )
    synthetic = forms.BooleanField(required=False, label=_("It has seen drawn lesions only"), label_suffix="")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        folders = model_folders()
        field = self.fields["folder"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            ("", _("No folder") if folders else _("No folder lies there")),
            *((name, name) for name in folders),
        ]
