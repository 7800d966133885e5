"""The interface's language: a cookie says it to every page, the account keeps it for the next browser."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_POST
from django.views.i18n import set_language

from annotator.accounts.models import User


@login_not_required
@require_POST
def choose_language(request: HttpRequest) -> HttpResponseBase:
    """POST ``language`` and ``next``: back to that page, in that language from now on."""
    chosen = request.POST.get("language")
    if request.user.is_authenticated and chosen in dict(settings.LANGUAGES):
        User.objects.filter(pk=request.user.pk).update(interface_language=chosen)
    response: HttpResponseBase = set_language(request)
    return response


def restore_language(response: HttpResponseBase, user: User) -> None:
    """At log-in: the language that she chose before, wherever that was."""
    if not user.interface_language:
        return
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        user.interface_language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        samesite=settings.LANGUAGE_COOKIE_SAMESITE,  # type: ignore[arg-type]
    )
