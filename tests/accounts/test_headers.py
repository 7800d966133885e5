"""What every answer says about itself."""

import pytest


@pytest.fixture
def answer(client, db):
    return client.get("/accounts/login/")


def test_content_security_policy_allows_nothing_inline_or_from_elsewhere(answer):
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";"))

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_pages_are_not_sniffed_framed_or_named_to_other_sites(answer):
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "same-origin"


def test_htmx_runs_without_eval_and_keeps_no_page_in_the_browser(answer):
    for setting in ('"allowEval":false', '"allowScriptTags":false', '"historyCacheSize":0'):
        assert setting in answer.content.decode()


def test_csrf_token_stands_once_on_the_body(answer):
    assert answer.content.decode().count("X-CSRFToken") == 1


def test_a_form_without_the_token_is_refused_in_plain_words(db):
    from django.test import Client

    response = Client(enforce_csrf_checks=True).post("/accounts/login/", {"username": "a", "password": "b"})

    assert response.status_code == 403
    assert b"The page was open too long" in response.content


def test_footer_says_what_the_outputs_are_for(answer):
    assert b"Research use only. Outputs need clinical review." in answer.content
