"""No page answers a stranger, whoever added it."""

import re

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

PAGES = {"/accounts/login/", "/accounts/session/", "/healthz"}
OPEN = PAGES | {"/accounts/language/"}  # takes a POST only
# One sample value that each path converter accepts.
SAMPLES = {"uuid": "7f1d2c34-5b6a-4c8d-9e0f-112233445566", "int": "1", "slug": "x", "str": "x", "path": "x"}


def addresses(resolver: URLResolver | None = None, prefix: str = "/") -> list[str]:
    """Every address of the site, with a sample value for each parameter."""
    found = []
    for entry in (resolver or get_resolver()).url_patterns:
        route = str(entry.pattern)
        here = prefix + re.sub(r"<(?:(\w+):)?\w+>", lambda part: SAMPLES.get(part[1] or "str", "x"), route)
        if isinstance(entry, URLResolver):
            found += addresses(entry, here)
        elif isinstance(entry, URLPattern):
            found.append(here)
    return found


def test_the_list_of_addresses_is_not_empty():
    assert {"/", "/accounts/profile/", *OPEN} <= set(addresses())


@pytest.mark.parametrize("method", ["get", "post"])
def test_stranger_is_sent_to_the_login(client, db, method):
    let_in = []
    for address in sorted(set(addresses()) - OPEN):
        response = getattr(client, method)(address)
        is_login = response.status_code == 302 and response.url.startswith("/accounts/login/")
        if not (is_login or response.status_code in (401, 403)):
            let_in.append(f"{method} {address}: {response.status_code}")
    assert let_in == []


def test_htmx_fragment_is_never_the_login_page(client, db):
    response = client.get("/accounts/profile/", headers={"hx-request": "true"})

    assert response.headers["HX-Redirect"] == "/accounts/login/"
    assert response.content == b""


@pytest.mark.parametrize("address", sorted(PAGES))
def test_open_pages_answer(client, db, address):
    assert client.get(address).status_code == 200


def test_logged_in_stranger_to_an_address_gets_the_404_page(client, django_user_model, db):
    client.force_login(django_user_model.objects.create_user("someone"))

    response = client.get("/no-such-page/")

    assert response.status_code == 404
    assert b"There is no such page" in response.content
