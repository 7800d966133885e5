"""What the import page asks."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from modelhub.services.imports import server_folders
from scoring.importers import IMPORTERS
from scoring.models import Source

NEEDED_FOR_NEW = ("name", "licence", "basis")


class ImportForm(forms.Form):
    """Where the cases are, in which format, and from which source."""

    format = forms.ChoiceField(label=_("Format"), choices=[(one.name, one.label) for one in IMPORTERS.values()])
    archive = forms.FileField(
        required=False,
        label=_("ZIP archive"),
        widget=forms.ClearableFileInput(attrs={"accept": ".zip,application/zip"}),
    )
    folder = forms.ChoiceField(required=False, label=_("or a folder on the server"))
    evaluation_percent = forms.IntegerField(
        min_value=0,
        max_value=100,
        initial=20,
        label=_("Evaluation share, %"),
        help_text=_("Of the patients or lesions for which the table names no split. Splits are fixed by the import."),
    )
    source = forms.ModelChoiceField(
        Source.objects.order_by("name"), required=False, label=_("Source"), empty_label=_("A new source")
    )
    name = forms.CharField(required=False, max_length=120, label=_("Name"))
    licence = forms.CharField(required=False, max_length=200, label=_("Licence"))
    basis = forms.CharField(
        required=False, label=_("Consent or ethics basis"), widget=forms.Textarea(attrs={"rows": 2})
    )
    redistribute = forms.ChoiceField(
        required=False,
        label=_("Redistribute"),
        choices=Source.Redistribute.choices,
        initial=Source.Redistribute.REFERENCE,
    )
    may_train = forms.BooleanField(required=False, label=_("Models may train on its cases"))
    may_leave_site = forms.BooleanField(required=False, label=_("Its cases may be sent to services outside this site"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        folders = server_folders()
        field = self.fields["folder"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            ("", _("No folder") if folders else _("No folder lies there")),
            *((name, name) for name in folders),
        ]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "archive" not in self.errors and "folder" not in self.errors:
            if not cleaned.get("archive") and not cleaned.get("folder"):
                self.add_error(None, _("Choose a ZIP archive to upload, or a folder on the server."))
            if cleaned.get("archive") and cleaned.get("folder"):
                self.add_error(None, _("Choose an archive or a folder, not both."))
        if not cleaned.get("source") and "source" not in self.errors:
            for field in NEEDED_FOR_NEW:
                if not cleaned.get(field):
                    self.add_error(field, _("A new source needs this. Or choose a source that exists."))
        return cleaned

    @property
    def new_source(self) -> dict[str, Any]:
        """The fields of a source that is not there yet."""
        rights = ("redistribute", "may_train", "may_leave_site")
        return {name: self.cleaned_data[name] for name in (*NEEDED_FOR_NEW, *rights)}
