"""What the import page asks."""

from typing import Any

from django import forms

from modelhub.services.imports import server_folders
from scoring.importers import IMPORTERS
from scoring.models import Source

NEEDED_FOR_NEW = ("name", "licence", "basis")


class ImportForm(forms.Form):
    """Where the cases are, in which format, and from which source."""

    format = forms.ChoiceField(choices=[(one.name, one.label) for one in IMPORTERS.values()])
    archive = forms.FileField(
        required=False, label="ZIP archive", widget=forms.ClearableFileInput(attrs={"accept": ".zip,application/zip"})
    )
    folder = forms.ChoiceField(required=False, label="or a folder on the server")
    evaluation_percent = forms.IntegerField(
        min_value=0,
        max_value=100,
        initial=20,
        label="Evaluation share, %",
        help_text="Of the patients or lesions for which the table names no split. Splits are fixed by the import.",
    )
    source = forms.ModelChoiceField(Source.objects.order_by("name"), required=False, empty_label="A new source")
    name = forms.CharField(required=False, max_length=120)
    licence = forms.CharField(required=False, max_length=200)
    basis = forms.CharField(required=False, label="Consent or ethics basis", widget=forms.Textarea(attrs={"rows": 2}))
    redistribute = forms.ChoiceField(
        required=False, choices=Source.Redistribute.choices, initial=Source.Redistribute.REFERENCE
    )
    may_train = forms.BooleanField(required=False, label="Models may train on its cases")
    may_leave_site = forms.BooleanField(required=False, label="Its cases may be sent to services outside this site")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        folders = server_folders()
        field = self.fields["folder"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "No folder" if folders else "No folder lies there"), *((name, name) for name in folders)]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "archive" not in self.errors and "folder" not in self.errors:
            if not cleaned.get("archive") and not cleaned.get("folder"):
                self.add_error(None, "Choose a ZIP archive to upload, or a folder on the server.")
            if cleaned.get("archive") and cleaned.get("folder"):
                self.add_error(None, "Choose an archive or a folder, not both.")
        if not cleaned.get("source") and "source" not in self.errors:
            for field in NEEDED_FOR_NEW:
                if not cleaned.get(field):
                    self.add_error(field, "A new source needs this. Or choose a source that exists.")
        return cleaned

    @property
    def new_source(self) -> dict[str, Any]:
        """The fields of a source that is not there yet."""
        rights = ("redistribute", "may_train", "may_leave_site")
        return {name: self.cleaned_data[name] for name in (*NEEDED_FOR_NEW, *rights)}
