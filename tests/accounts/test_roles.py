"""Who is let through which door."""

import pytest
from django.contrib.auth.models import AnonymousUser, Group
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.http import HttpResponse
from django.test import RequestFactory

from annotator.accounts.models import User
from annotator.accounts.roles import ROLES, check_role, role_required
from annotator.home.navigation import ENTRIES, STAFF


def person(name: str, *roles: str, **fields) -> User:
    user = User.objects.create_user(name, **fields)
    user.groups.set(Group.objects.filter(name__in=roles))
    return user


def request_of(user):
    request = RequestFactory().get("/x")
    request.user = user
    return request


@role_required("adjudicator", "administrator")
def door(request):
    return HttpResponse("in")


def test_migration_makes_the_four_roles(db):
    assert set(Group.objects.values_list("name", flat=True)) >= set(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_property_follows_the_group(db, role):
    user = person("someone", role)

    assert {name for name in ROLES if getattr(user, f"is_{name}")} == {role}


@pytest.mark.parametrize(("role", "let_in"), [("adjudicator", True), ("administrator", True), ("dermatologist", False)])
def test_door_asks_for_the_role(db, role, let_in):
    request = request_of(person("someone", role))

    if let_in:
        assert door(request).content == b"in"
    else:
        with pytest.raises(PermissionDenied, match="adjudicator or administrator"):
            door(request)


def test_superuser_is_an_administrator_but_not_a_dermatologist(db):
    boss = User.objects.create_superuser("boss")

    assert boss.is_administrator
    assert not boss.is_dermatologist


def test_inactive_person_holds_no_role(db):
    assert not person("gone", "administrator", is_active=False).is_administrator


def test_other_groups_are_not_roles(db):
    user = person("someone")
    user.groups.add(Group.objects.create(name="choir"))

    assert user.roles == frozenset()


def test_misspelt_role_is_an_error_and_not_a_closed_door(db):
    with pytest.raises(ValueError, match="dermatologyst"):
        check_role(request_of(person("someone", "dermatologist")), "dermatologyst")


def test_roles_cost_one_query(db, django_assert_num_queries):
    user = User.objects.get(pk=person("someone", "researcher").pk)

    with django_assert_num_queries(1):
        assert user.is_researcher
        assert not user.is_administrator


def test_403_page_says_why_in_plain_words(db, client, rf):
    from django.views.defaults import permission_denied

    request = request_of(person("someone"))
    response = permission_denied(request, PermissionDenied("This page is for the role administrator."))

    assert response.status_code == 403
    assert b"This page is for the role administrator." in response.content


def test_anonymous_has_no_navigation(rf):
    from annotator.home.navigation import entries_for

    assert entries_for(request_of(AnonymousUser())) == []


def test_rater_is_shown_no_page_about_models():
    """Blinding: pages that reveal a model are for administrators and researchers."""
    for label, name, roles in ENTRIES:
        if name.startswith("modelhub:"):
            assert roles == STAFF, label


def test_home_without_a_role_says_whom_to_ask(client, db):
    client.force_login(person("newcomer"))

    response = client.get("/")

    assert b"Ask an administrator" in response.content


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("time", ["first", "second"])
def test_roles_are_there_after_a_test_that_empties_the_tables(time):
    assert person("someone", "researcher").is_researcher


@pytest.mark.django_db
def test_emptying_the_tables_keeps_the_roles():
    """A transactional test ends with a flush: whichever test comes next must find the roles."""
    call_command("flush", interactive=False, verbosity=0)
    assert set(Group.objects.values_list("name", flat=True)) == set(ROLES)
