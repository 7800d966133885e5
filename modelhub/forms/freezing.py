"""Freezing a dataset version."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from modelhub.forms.runs import offer
from scoring.models import Study
from scoring.services.datasets import SPLIT_OF_KIND


class FreezeForm(forms.Form):
    kind = forms.ChoiceField(choices=[(kind, kind.label) for kind in SPLIT_OF_KIND], widget=forms.HiddenInput)
    study = forms.ModelChoiceField(Study.objects.none(), to_field_name="public_id", empty_label=None, label=_("Study"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, study=Study.objects.exclude(state=Study.State.DRAFT).order_by("-created_at"))
