"""The four roles, and the doors that ask for them.

A role is a Django group. A person may hold several; a superuser counts as an administrator.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

DERMATOLOGIST = "dermatologist"
ADJUDICATOR = "adjudicator"
ADMINISTRATOR = "administrator"
RESEARCHER = "researcher"
ROLES = (DERMATOLOGIST, ADJUDICATOR, ADMINISTRATOR, RESEARCHER)
ROLE_NAMES = {
    DERMATOLOGIST: gettext_lazy("dermatologist"),
    ADJUDICATOR: gettext_lazy("adjudicator"),
    ADMINISTRATOR: gettext_lazy("administrator"),
    RESEARCHER: gettext_lazy("researcher"),
}

View = Callable[..., HttpResponseBase]


def check_role(request: HttpRequest, *roles: str) -> None:
    """Raises PermissionDenied with a sentence for the 403 page unless the user holds one of the roles."""
    unknown = set(roles) - set(ROLES)
    if unknown or not roles:
        raise ValueError(f"Roles are {', '.join(ROLES)}; got {sorted(unknown) or 'none'}.")
    if not request.user.is_authenticated or not request.user.has_role(*roles):
        text = _("This page is for the role %(roles)s. Ask an administrator if you need it.")
        raise PermissionDenied(text % {"roles": _(" or ").join(str(ROLE_NAMES[role]) for role in roles)})


def role_required(*roles: str) -> Callable[[View], View]:
    """Decorator for a view: only users with one of the roles; others get the 403 page in plain words."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            check_role(request, *roles)
            return view(request, *args, **kwargs)

        return guarded

    return decorate
