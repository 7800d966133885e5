"""Doors of the model hub: raters never come in, researchers look, administrators act."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

ADMINISTRATOR, RESEARCHER, ADJUDICATOR = "administrator", "researcher", "adjudicator"

View = Callable[..., HttpResponseBase]


def staff_page(view: View) -> View:
    """A page that only reads, for administrators and researchers."""
    return never_cache(require_safe(_for_roles(view, ADMINISTRATOR, RESEARCHER)))


def staff_form(view: View) -> View:
    """A page with a form that both may send."""
    return never_cache(_for_roles(view, ADMINISTRATOR, RESEARCHER))


def administrator_form(view: View) -> View:
    return never_cache(_for_roles(view, ADMINISTRATOR))


def reference_page(view: View) -> View:
    """A page that names no model: adjudicators decide here, researchers look."""
    return never_cache(require_safe(_for_roles(view, ADMINISTRATOR, RESEARCHER, ADJUDICATOR)))


def reference_form(view: View) -> View:
    """Such a page with a form that adjudicators and administrators may send."""
    reading = _for_roles(view, ADMINISTRATOR, RESEARCHER, ADJUDICATOR)
    sending = _for_roles(view, ADMINISTRATOR, ADJUDICATOR)

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return (sending if request.method == "POST" else reading)(request, *args, **kwargs)

    return never_cache(guarded)


def staff_action(view: View) -> View:
    """A POST that both may send."""
    return require_POST(_for_roles(view, ADMINISTRATOR, RESEARCHER))


def administrator_action(view: View) -> View:
    return require_POST(_for_roles(view, ADMINISTRATOR))


def _for_roles(view: View, *roles: str) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = request.user
        if not user.is_authenticated or not user.has_role(*roles):
            raise PermissionDenied(f"This page is for the role {' or '.join(roles)}. Ask an administrator.")
        return view(request, *args, **kwargs)

    return guarded
