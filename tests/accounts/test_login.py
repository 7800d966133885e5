"""Logging in and out, and the pause after repeated failures."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotator.accounts.models import FailedLogin, User

PASSWORD = "a long enough phrase"
LOGIN = "/accounts/login/"


@pytest.fixture
def lin(db) -> User:
    return User.objects.create_user("lin", password=PASSWORD)


def attempt(client: Client, password: str = PASSWORD, username: str = "lin", **extra):
    return client.post(LOGIN, {"username": username, "password": password}, **extra)


def test_right_password_leads_home(client, lin):
    response = attempt(client)

    assert response.status_code == 302
    assert response.url == reverse("home")


def test_wrong_password_says_so_without_naming_which_part(client, lin):
    response = attempt(client, "nonsense")

    assert response.status_code == 200
    assert b"correct username and password" in response.content


def test_passwords_are_hashed_with_argon2(lin):
    assert lin.password.startswith("argon2")


def test_repeated_failures_pause_even_the_right_password(client, lin, settings):
    settings.LOGIN_FAILURES_ALLOWED = 3
    for _ in range(3):
        attempt(client, "nonsense")

    response = attempt(client)

    assert b"Too many failed attempts" in response.content
    assert "_auth_user_id" not in client.session


def test_pause_ends_after_the_window(client, lin, settings):
    settings.LOGIN_FAILURES_ALLOWED = 3
    long_ago = timezone.now() - timedelta(minutes=settings.LOGIN_FAILURE_WINDOW_MINUTES, seconds=1)
    FailedLogin.objects.bulk_create([FailedLogin(username="lin", address="127.0.0.1", at=long_ago) for _ in range(3)])

    assert attempt(client).status_code == 302


def test_failures_elsewhere_do_not_lock_her_out(client, lin, settings):
    settings.LOGIN_FAILURES_ALLOWED = 3
    for _ in range(3):
        attempt(client, "nonsense", REMOTE_ADDR="203.0.113.9")

    assert attempt(client).status_code == 302


def test_forged_forwarding_header_does_not_dodge_the_pause(client, lin, settings):
    settings.LOGIN_FAILURES_ALLOWED = 2
    for number in range(2):
        attempt(client, "nonsense", headers={"x-forwarded-for": f"203.0.113.{number}"})

    assert b"Too many failed attempts" in attempt(client, headers={"x-forwarded-for": "203.0.113.77"}).content


def test_success_forgets_earlier_failures(client, lin):
    attempt(client, "nonsense")
    attempt(client)

    assert not FailedLogin.objects.exists()


def test_log_out_ends_the_session(client, lin):
    client.force_login(lin)

    client.post("/accounts/logout/")

    assert client.get("/accounts/profile/").status_code == 302


def test_log_out_needs_a_post(client, lin):
    client.force_login(lin)

    assert client.get("/accounts/logout/").status_code == 405


def test_login_does_not_lead_to_another_site(client, lin):
    response = client.post(f"{LOGIN}?next=https://evil.example/", {"username": "lin", "password": PASSWORD})

    assert response.url == reverse("home")
