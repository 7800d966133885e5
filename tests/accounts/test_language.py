"""English and Chinese: who decides which, where it is kept, and that every text has both."""

from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import translation

from annotator.accounts.models import User
from annotator.languages import catalogue
from scoring.rubric import CHINESE_DIMENSIONS, DIMENSIONS, dimensions_in, rubric_content, rubric_hash
from tests.factories import make_dermatologist

LOGIN = "/accounts/login/"
PO = catalogue.po_file(settings.LOCALE_PATHS[0], "zh_Hans")


def choose(client, language: str, back: str = LOGIN):
    return client.post(reverse("accounts:language"), {"language": language, "next": back})


def language_of(answer) -> str:
    return answer.content.decode().split('<html lang="')[1].split('"')[0]


@pytest.mark.django_db
def test_a_new_browser_gets_the_language_that_it_asks_for(client) -> None:
    assert language_of(client.get(LOGIN)) == "en"
    assert language_of(client.get(LOGIN, headers={"Accept-Language": "zh-CN,zh;q=0.9"})) == "zh-hans"
    assert language_of(client.get(LOGIN, headers={"Accept-Language": "fr"})) == "en"


@pytest.mark.django_db
def test_the_switch_leads_back_and_outweighs_the_browser(client) -> None:
    answer = choose(client, "zh-hans")
    assert (answer.status_code, answer["Location"]) == (302, LOGIN)
    page = client.get(LOGIN, headers={"Accept-Language": "en"})
    assert language_of(page) == "zh-hans"
    assert "登录" in page.content.decode()


@pytest.mark.django_db
def test_the_switch_never_leads_elsewhere(client) -> None:
    assert choose(client, "zh-hans", "https://elsewhere.example/")["Location"] == "/"
    assert client.get(reverse("accounts:language")).status_code == 405


@pytest.mark.django_db
def test_the_account_keeps_the_language_for_the_next_browser(client) -> None:
    rater = make_dermatologist(username="lin")
    client.force_login(rater)
    choose(client, "zh-hans")
    choose(client, "tlh")  # not offered: changes nothing
    assert User.objects.get(pk=rater.pk).interface_language == "zh-hans"
    client.logout()
    client.cookies.clear()
    client.post(LOGIN, {"username": "lin", "password": "a-long-test-word"})
    assert language_of(client.get(reverse("accounts:profile"))) == "zh-hans"


def test_dates_are_written_as_each_language_writes_them() -> None:
    from datetime import UTC, datetime

    from django.utils.formats import date_format

    day = datetime(2026, 3, 5, 14, 7, tzinfo=UTC)
    with translation.override("en"):
        assert [date_format(day), date_format(day, "DATETIME_FORMAT")] == ["5 March 2026", "5 Mar 2026, 14:07"]
    with translation.override("zh-hans"):
        assert [date_format(day), date_format(day, "DATETIME_FORMAT")] == ["2026年3月5日", "2026年3月5日 14:07"]


def test_the_rubric_speaks_both_languages_and_its_hash_covers_both(monkeypatch) -> None:
    assert [d.key for d in dimensions_in("zh-hans")] == [d.key for d in DIMENSIONS]
    assert dimensions_in("zh-hans")[0].name == "准确性"
    assert dimensions_in("en") is dimensions_in(None) is dimensions_in("fr") is DIMENSIONS
    for english, chinese in zip(DIMENSIONS, CHINESE_DIMENSIONS, strict=True):
        assert len(set(chinese.anchors)) == len(english.anchors) == 6
    assert rubric_content()["translations"]["zh-hans"][1]["name"] == "安全性"
    before = rubric_hash()
    monkeypatch.setattr("scoring.rubric.CHINESE_DIMENSIONS", CHINESE_DIMENSIONS[::-1])
    assert rubric_hash() != before


@pytest.fixture(scope="module")
def found():
    return catalogue.collect(settings.BASE_DIR)


def test_the_catalogue_holds_exactly_the_marked_texts(found) -> None:
    assert len(found) > 80
    merged = catalogue.merge(found, PO)
    assert catalogue.as_po(merged) == PO.read_bytes(), "run manage.py translations"


def test_every_text_is_translated(found) -> None:
    assert catalogue.missing(catalogue.merge(found, PO)) == []


def test_the_compiled_catalogue_is_that_of_the_texts() -> None:
    from babel.messages.pofile import read_po

    with PO.open("rb") as file:
        assert catalogue.as_mo(read_po(file)) == PO.with_suffix(".mo").read_bytes(), "run manage.py translations"


def test_the_checks_see_a_gap_and_a_lost_placeholder(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "page.html").write_text(
        '{% load i18n %}{% translate "Not yet" %}{% blocktranslate %}Page {{ n }}{% endblocktranslate %}'
    )
    po = tmp_path / "django.po"
    header = '"Content-Type: text/plain; charset=utf-8\\n"\n"Plural-Forms: nplurals=1; plural=0;\\n"\n'
    po.write_text(f'msgid ""\nmsgstr ""\n"Language: zh_Hans\\n"\n{header}\nmsgid "Page %(n)s"\nmsgstr "页 %(m)s"\n')
    gaps = catalogue.missing(catalogue.merge(catalogue.collect(tmp_path), po))
    assert "Not yet" in gaps
    assert any(gap.startswith("Page %(n)s: ") for gap in gaps)
