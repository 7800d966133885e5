"""Who is asking, for views behind the log-in."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.translation import gettext as _

from annotator.accounts.models import User


def user_of(request: HttpRequest) -> User:
    """The signed-in user. Raises PermissionDenied for a stranger, whom the log-in middleware should have stopped."""
    if not isinstance(request.user, User):
        raise PermissionDenied(_("Log in first."))
    return request.user
