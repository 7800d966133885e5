from django.contrib import messages
from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.messages.views import SuccessMessageMixin
from django.forms import ModelForm
from django.http import HttpResponse
from django.shortcuts import resolve_url
from django.urls import reverse_lazy
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.generic import UpdateView

from annotator.accounts.forms import LoginForm, ProfileForm
from annotator.accounts.models import User
from annotator.accounts.signed_in import user_of
from annotator.languages.choice import restore_language


class LoginView(auth_views.LoginView):
    template_name = "accounts/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_valid(form)
        restore_language(response, user_of(self.request))
        return response


class LogoutView(auth_views.LogoutView):
    pass


class PasswordChangeView(SuccessMessageMixin, auth_views.PasswordChangeView):
    template_name = "accounts/password_change.html"
    success_url = reverse_lazy("accounts:profile")
    success_message = gettext_lazy("Your password is changed.")


class ProfileView(UpdateView):
    """Her own profile; `?next=` leads back to the page that asked for it."""

    form_class = ProfileForm
    template_name = "accounts/profile.html"

    def get_object(self, queryset: object = None) -> User:
        return User.objects.get(pk=user_of(self.request).pk)

    def form_valid(self, form: ModelForm) -> HttpResponse:
        messages.success(self.request, _("Your profile is saved."))
        return super().form_valid(form)

    def get_success_url(self) -> str:
        target = self.request.POST.get("next") or self.request.GET.get("next", "")
        secure = self.request.is_secure()
        if target and url_has_allowed_host_and_scheme(target, {self.request.get_host()}, require_https=secure):
            return target
        return resolve_url("accounts:profile")
