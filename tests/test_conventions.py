"""House rules that a machine can check. Each rule has a case that breaks it, so that the check is known to see."""

import re
from pathlib import Path

import pytest
from django.apps import apps
from django.template.loader import get_template

ROOT = Path(__file__).parents[1]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
OWN_APPS = {"accounts", "modelhub", "scoring"}
PARTIAL_FOLDERS = {"components", "partials"}

INLINE = {
    "style attribute": re.compile(r"<[^>]*\sstyle\s*=", re.I),
    "style element": re.compile(r"<style\b", re.I),
    "script without src": re.compile(r"<script\b(?![^>]*\bsrc=)(?![^>]*type=\"application/json\")", re.I),
    "event handler": re.compile(r"<[^>]*\son[a-z]+\s*=", re.I),
    "javascript: address": re.compile(r"javascript:", re.I),
    "hx-on": re.compile(r"\bhx-on\b", re.I),
    "address elsewhere": re.compile(r"<(?:script|link|img)\b[^>]*(?:src|href)=[\"'](?:https?:)?//", re.I),
}


def broken_rules(html: str) -> list[str]:
    return [rule for rule, pattern in INLINE.items() if pattern.search(html)]


def test_there_are_templates():
    assert len(TEMPLATES) > 10


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_template_keeps_to_the_content_security_policy(path):
    assert broken_rules(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("html", "rule"),
    [
        ('<p class="x" style="color: red">', "style attribute"),
        ("<style>p {}</style>", "style element"),
        ("<script>alert(1)</script>", "script without src"),
        ('<a href="#" onclick="go()">', "event handler"),
        ('<a href="javascript:go()">', "javascript: address"),
        ('<button hx-on:click="go()">', "hx-on"),
        ('<script src="https://cdn.example/x.js"></script>', "address elsewhere"),
    ],
)
def test_the_policy_check_sees_each_rule_broken(html, rule):
    assert rule in broken_rules(html)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_template_compiles(path):
    get_template(str(path.relative_to(ROOT / "templates")))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_page_extends_the_base_page(path):
    relative = path.relative_to(ROOT / "templates")
    is_partial = bool(PARTIAL_FOLDERS & set(relative.parts)) or path.name.startswith("_")
    if is_partial or str(relative) in ("base.html", "500.html"):
        return
    assert path.read_text(encoding="utf-8").lstrip().startswith("{% extends ")


def visible_accessors(model) -> list[str]:
    """Relations of a modelhub model into scoring that could be followed backwards."""
    return [
        f"{model.__name__}.{field.name}"
        for field in model._meta.get_fields(include_parents=False)
        if field.is_relation
        and not field.auto_created
        and field.related_model is not None
        and not isinstance(field.related_model, str)
        and field.related_model._meta.app_label == "scoring"
        and not field.remote_field.hidden
    ]


def test_scoring_cannot_reach_models_backwards():
    """Blinding: every relation from modelhub into scoring has related_name='+'."""
    models = list(apps.get_app_config("modelhub").get_models(include_auto_created=True))
    assert models
    assert [name for model in models for name in visible_accessors(model) if not model._meta.auto_created] == []


def test_scoring_has_no_accessor_that_leads_up():
    """The same from the other side, whatever made the accessor."""
    up = [
        f"{model.__name__}.{relation.get_accessor_name()}"
        for model in apps.get_app_config("scoring").get_models()
        for relation in model._meta.related_objects
        if relation.related_model._meta.app_label == "modelhub"
    ]
    assert up == []


def test_the_blinding_check_sees_a_visible_relation():
    """scoring's own relations may be followed backwards: the same function must report at least one of them."""
    found = [name for model in apps.get_app_config("scoring").get_models() for name in visible_accessors(model)]
    assert found


def test_constraints_are_named_as_sentences():
    """At least two words, so that the error a person meets says what was broken."""
    short = [
        constraint.name
        for label in OWN_APPS
        for model in apps.get_app_config(label).get_models()
        for constraint in model._meta.constraints
        if constraint.name.count("_") < 2
    ]
    assert short == []


def test_modules_are_named_by_their_noun():
    vague = {"utils.py", "util.py", "helpers.py", "manager.py", "misc.py", "common.py"}
    found = [path for app in ("annotator", "modelhub", "scoring") for path in (ROOT / app).rglob("*.py")]
    assert [str(path.relative_to(ROOT)) for path in found if path.name in vague] == []


def test_vendored_files_come_with_their_licence():
    for folder in (ROOT / "static" / "vendor").iterdir():
        assert any(path.name.upper().startswith("LICENSE") for path in folder.iterdir()), folder.name
