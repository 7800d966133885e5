"""Which checkpoint to register, and under which name."""

from typing import Any

from django import forms

from modelhub.services.registration import model_folders


class RegistrationForm(forms.Form):
    name = forms.CharField(
        max_length=120, label="Name", help_text="How people will know it. It cannot be changed later."
    )
    folder = forms.ChoiceField(required=False, label="Folder on the server")
    hub_id = forms.CharField(
        required=False, max_length=200, label="or a model of the Hugging Face hub", help_text="organisation/model"
    )
    revision = forms.CharField(
        required=False,
        max_length=120,
        label="Revision there",
        help_text="A commit hash, a branch or a tag; empty is main. The commit is recorded.",
    )
    synthetic = forms.BooleanField(required=False, label="It has seen drawn lesions only", label_suffix="")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        folders = model_folders()
        field = self.fields["folder"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "No folder" if folders else "No folder lies there"), *((name, name) for name in folders)]
