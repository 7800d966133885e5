from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotator.accounts import throttle
from annotator.accounts.models import LANGUAGES_READ, User


class LoginForm(AuthenticationForm):
    """User name and password, with a pause after repeated failures."""

    request: HttpRequest

    def clean(self) -> dict[str, Any]:
        who = {"username": self.data.get("username", "")[:150], "address": throttle.address_of(self.request)}
        if throttle.is_paused(**who):
            minutes = settings.LOGIN_FAILURE_WINDOW_MINUTES
            text = _("Too many failed attempts. Wait %(minutes)s minutes, then try again.")
            raise ValidationError(text, code="paused", params={"minutes": minutes})
        try:
            cleaned = super().clean()
        except ValidationError:
            throttle.record_failure(**who)
            raise
        throttle.forget_failures(**who)
        return cleaned


class ProfileForm(forms.ModelForm):
    """What a rater states before her first case."""

    languages = forms.MultipleChoiceField(
        label=gettext_lazy("Languages you read"),
        choices=list(LANGUAGES_READ.items()),
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("You are given narratives in these languages only."),
    )

    class Meta:
        model = User
        fields = [
            "first_name",
            "last_name",
            "email",
            "qualification",
            "years_experience",
            "country",
            "conflicts",
            "languages",
        ]
        widgets = {"conflicts": forms.Textarea(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        asked = ("qualification", "years_experience", "country", "conflicts") if self.instance.is_dermatologist else ()
        for name in asked:
            self.fields[name].required = True
        self.fields["languages"].required = bool(asked)
