"""The log-in of a page that is open already: who is here, a fresh token, and the same pause as the log-in page."""

import pytest
from django.test import Client

from annotator.accounts.models import FailedLogin, User

ADDRESS = "/accounts/session/"
PASSWORD = "a long enough phrase"


@pytest.fixture
def lin(db) -> User:
    return User.objects.create_user("lin", password=PASSWORD)


@pytest.fixture
def strict() -> Client:
    return Client(enforce_csrf_checks=True)


def log_in(client: Client, token: str, password: str = PASSWORD):
    return client.post(ADDRESS, {"username": "lin", "password": password}, headers={"x-csrftoken": token})


def test_a_stranger_is_nobody_and_gets_a_token(strict, db) -> None:
    answer = strict.get(ADDRESS)
    assert answer.json()["user"] is None
    assert answer.json()["token"]
    assert "no-store" in answer.headers["Cache-Control"]


def test_the_log_in_names_the_person_and_its_new_token_works(strict, lin) -> None:
    before = strict.get(ADDRESS).json()["token"]
    answer = log_in(strict, before)
    assert answer.json()["user"] == str(lin.public_id)
    assert strict.get(ADDRESS).json()["user"] == str(lin.public_id)
    language = {"language": "en"}
    assert strict.post("/accounts/language/", language, headers={"x-csrftoken": before}).status_code == 403
    token = answer.json()["token"]
    assert strict.post("/accounts/language/", language, headers={"x-csrftoken": token}).status_code == 302


def test_without_its_token_nobody_logs_in(strict, lin) -> None:
    assert log_in(strict, "").status_code == 403


def test_a_wrong_password_is_refused_in_words_and_counted(strict, lin) -> None:
    answer = log_in(strict, strict.get(ADDRESS).json()["token"], "nonsense")
    assert answer.status_code == 422
    assert "correct username and password" in answer.json()["errors"][0]
    assert FailedLogin.objects.filter(username="lin").count() == 1


def test_the_pause_is_the_log_in_pages_own(strict, lin, settings) -> None:
    settings.LOGIN_FAILURES_ALLOWED = 2
    for _ in range(2):
        strict.post("/accounts/login/", {"username": "lin", "password": "no"})  # refused for its token: not counted
    token = strict.get(ADDRESS).json()["token"]
    log_in(strict, token, "nonsense")
    Client().post("/accounts/login/", {"username": "lin", "password": "nonsense"})
    assert "Too many failed attempts" in log_in(strict, token).json()["errors"][0]
