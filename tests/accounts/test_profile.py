"""What a rater states about herself."""

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError

from annotator.accounts.models import User

STATED = {
    "first_name": "Mei",
    "last_name": "Lin",
    "email": "",
    "qualification": "specialist",
    "years_experience": "12",
    "country": "Taiwan",
    "conflicts": "none",
    "languages": ["en", "zh-hans"],
}


@pytest.fixture
def lin(db) -> User:
    user = User.objects.create_user("lin", password="a long enough phrase")
    user.groups.add(Group.objects.get(name="dermatologist"))
    return user


@pytest.fixture
def lin_client(client, lin):
    client.force_login(lin)
    return client


def test_profile_is_saved(lin_client, lin):
    lin_client.post("/accounts/profile/", STATED)

    lin.refresh_from_db()
    assert (lin.years_experience, lin.languages, lin.qualification) == (12, ["en", "zh-hans"], "specialist")
    assert lin.profile_is_complete


def test_zero_years_is_an_answer(lin_client, lin):
    lin_client.post("/accounts/profile/", {**STATED, "years_experience": "0"})

    lin.refresh_from_db()
    assert lin.years_experience == 0
    assert lin.profile_is_complete


@pytest.mark.parametrize("left_out", ["qualification", "years_experience", "country", "conflicts", "languages"])
def test_dermatologist_must_state_each(lin_client, lin, left_out):
    response = lin_client.post("/accounts/profile/", {k: v for k, v in STATED.items() if k != left_out})

    assert left_out in response.context["form"].errors
    lin.refresh_from_db()
    assert not lin.profile_is_complete


def test_administrator_need_not(client, db):
    user = User.objects.create_user("boss")
    client.force_login(user)

    assert client.post("/accounts/profile/", {"first_name": "A"}).status_code == 302


@pytest.mark.parametrize("years", ["-1", "81", "many"])
def test_impossible_years_are_refused(lin_client, years):
    response = lin_client.post("/accounts/profile/", {**STATED, "years_experience": years})

    assert "years_experience" in response.context["form"].errors


def test_database_refuses_impossible_years(lin):
    lin.years_experience = 81
    with pytest.raises(IntegrityError, match="years_experience"):
        lin.save()


def test_roles_cannot_be_taken_by_the_form(lin_client, lin):
    lin_client.post("/accounts/profile/", {**STATED, "is_superuser": "on", "groups": "1", "username": "root"})

    lin.refresh_from_db()
    assert (lin.is_superuser, lin.username, set(lin.roles)) == (False, "lin", {"dermatologist"})


def test_next_leads_back(lin_client):
    assert lin_client.post("/accounts/profile/", {**STATED, "next": "/healthz"}).url == "/healthz"


def test_next_does_not_lead_to_another_site(lin_client):
    assert lin_client.post("/accounts/profile/", {**STATED, "next": "//evil.example/"}).url == "/accounts/profile/"


def test_password_change_keeps_her_logged_in(lin_client, lin):
    change = {
        "old_password": "a long enough phrase",
        "new_password1": "quite another 1",
        "new_password2": "quite another 1",
    }

    assert lin_client.post("/accounts/password/", change).url == "/accounts/profile/"
    assert lin_client.get("/accounts/profile/").status_code == 200
    lin.refresh_from_db()
    assert lin.check_password("quite another 1")


def test_short_password_is_refused(lin_client):
    change = {"old_password": "a long enough phrase", "new_password1": "short", "new_password2": "short"}

    assert "new_password2" in lin_client.post("/accounts/password/", change).context["form"].errors


def test_public_ids_are_random(db):
    ids = {User.objects.create_user(f"u{n}").public_id for n in range(3)}

    assert len(ids) == 3
    assert all(public_id.version == 4 for public_id in ids)
