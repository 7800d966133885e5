"""Slows down guessing: so many failures of one name from one address, then a pause."""

from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from annotator.accounts.models import FailedLogin


def is_paused(*, username: str, address: str) -> bool:
    return FailedLogin.objects.recent(username=username, address=address).count() >= settings.LOGIN_FAILURES_ALLOWED


def record_failure(*, username: str, address: str) -> None:
    """Counts one refusal and forgets those that no longer matter."""
    window = timedelta(minutes=settings.LOGIN_FAILURE_WINDOW_MINUTES)
    FailedLogin.objects.filter(at__lt=timezone.now() - window).delete()
    FailedLogin.objects.create(username=username.lower()[:150], address=address)


def forget_failures(*, username: str, address: str) -> None:
    FailedLogin.objects.filter(username=username.lower(), address=address).delete()


def address_of(request: HttpRequest) -> str:
    """The peer's address; behind a TLS proxy that we were told to trust, the last hop it reports."""
    if settings.SECURE_PROXY_SSL_HEADER:
        forwarded = request.headers.get("X-Forwarded-For", "").split(",")[-1].strip()
        if forwarded:
            return forwarded
    return request.META.get("REMOTE_ADDR") or "::"  # unknown: all such share one count
