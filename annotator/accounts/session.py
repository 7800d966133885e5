"""Who is logged in and with which token, for a page that is open already: it never has to leave to log in again."""

from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.middleware.csrf import get_token
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from annotator.accounts.forms import LoginForm
from annotator.accounts.models import User
from annotator.accounts.signed_in import user_of
from annotator.languages.choice import restore_language


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def session(request: HttpRequest) -> JsonResponse:
    """GET: ``{"user": her public id or null, "token": a CSRF token}``. POST ``username`` and ``password``: the same
    after the log-in, or 422 with ``{"errors": [words]}``; failures count in the log-in page's throttle.
    """
    if request.method != "POST":
        return _answer(request)
    form = LoginForm(request, request.POST)
    if not form.is_valid():
        words = [error for errors in form.errors.values() for error in errors]
        return JsonResponse({"errors": words}, status=422)
    login(request, form.get_user())
    response = _answer(request)
    restore_language(response, user_of(request))
    return response


def _answer(request: HttpRequest) -> JsonResponse:
    user = str(request.user.public_id) if isinstance(request.user, User) else None
    return JsonResponse({"user": user, "token": get_token(request)})
