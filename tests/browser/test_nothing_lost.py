"""Nothing that a rater enters is lost: log-ins expire, tokens rotate, pages close half-way."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse

from scoring.models import CalibrationAnswer, OwnDiagnosis, Rating, RatingDraft
from scoring.rubric import DIMENSION_KEYS, LEVELS
from scoring.services.calibration import start_attempt
from scoring.services.examples import add_example
from scoring.services.studies import start_study
from tests.browser.desk import PASSWORD, Desk, desk_for
from tests.browser.drafts import drafted, score, wait_for
from tests.factories import make_queue, make_rater, make_study, make_version

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
JOURNALS = "Object.entries(localStorage).filter(([key]) => key.startsWith('rating:journal:'))"


@pytest.fixture
def rater():
    study = make_study()
    make_queue(study, 3)
    return make_rater(study)


@pytest.fixture
def desk(rater, live_server) -> Iterator[Desk]:
    with desk_for(rater, live_server.url) as desk:
        yield desk


def log_in_again(page, password: str = PASSWORD) -> None:
    page.locator("dialog#log-in [name=password]").fill(password)
    page.locator("dialog#log-in button[type=submit]").click()


def forget_sessions() -> None:
    Session.objects.all().delete()


def test_an_expired_log_in_is_renewed_in_the_page_and_what_was_entered_is_sent(desk) -> None:
    page = desk.open()
    score(page, "3")
    wait_for(page, "saved")
    forget_sessions()
    score(page, "4")
    page.locator("dialog#log-in").wait_for()
    assert drafted(accuracy="3", safety=None)
    log_in_again(page, "a wrong word")
    page.get_by_text("correct username and password").wait_for()
    log_in_again(page)
    wait_for(page, "saved")
    assert drafted(accuracy="3", safety="4")
    assert page.evaluate(JOURNALS) == []


def test_a_submission_after_the_log_in_expired_is_sent_once_she_is_back(desk) -> None:
    page = desk.open()
    first = page.url
    score(page)
    wait_for(page, "saved")
    forget_sessions()
    page.keyboard.press("Enter")
    log_in_again(page)
    page.wait_for_url(lambda url: url != first)
    assert list(Rating.objects.get().scores_by_dimension().values()) == [3, 4, 5, 0, 1, 2]


def test_a_rotated_token_is_replaced_without_a_word(desk) -> None:
    page = desk.open()
    other = page.context.new_page()
    other.goto(desk.address + reverse("accounts:session"))
    page.context.clear_cookies(name="csrftoken")
    other.reload()
    score(page, "2")
    wait_for(page, "saved")
    assert drafted(accuracy="2")
    assert not page.locator("dialog#log-in").is_visible()


def test_somebody_elses_log_in_does_not_get_her_words(desk, rater) -> None:
    page = desk.open()
    stranger = Desk(desk.browser, desk.address, make_rater(rater.enrolments.get().study))
    page.context.add_cookies(stranger.context().cookies())
    score(page, "2")
    page.locator("dialog#log-in").wait_for()
    assert "Somebody else" in page.locator("dialog#log-in [data-problem]").inner_text()
    assert not RatingDraft.objects.exists()
    theirs = desk.open(page.context)
    theirs.wait_for_load_state("networkidle")
    assert not theirs.locator("input[type=radio]:checked").count()
    assert not RatingDraft.objects.exists()


def test_the_journal_holds_her_words_and_none_of_the_text(desk) -> None:
    page = desk.open()
    page.route("**/draft/", lambda route: route.abort())
    page.keyboard.press("e")
    editor = page.locator("[data-revise-form] textarea").first
    editor.wait_for()
    before = editor.input_value()
    page.keyboard.press("Control+End")
    page.keyboard.type(" Seen at noon.")
    wait_for(page, "kept")
    ((_, kept),) = page.evaluate(JOURNALS)
    assert "Seen at noon." in kept
    assert not any(word in kept for word in before.split() if len(word) > 4)
    page.unroute("**/draft/")
    page.reload()
    wait_for(page, "saved")
    assert RatingDraft.objects.get().content["fields"]["step-1"] == before + " Seen at noon."


def closed_before_it_was_sent(page, enter) -> Any:
    """What is entered while no draft gets through, then the lid is closed and opened again."""
    page.route("**/draft/", lambda route: route.abort())
    enter(page)
    wait_for(page, "kept")
    context, address = page.context, page.url
    page.close()
    again = context.new_page()
    again.goto(address)
    wait_for(again, "saved")
    return again


def test_her_own_diagnosis_half_typed_outlives_the_page(live_server) -> None:
    study = make_study(own_diagnosis_first=True)
    make_queue(study, 1)
    with desk_for(make_rater(study), live_server.url) as desk:
        page = closed_before_it_was_sent(desk.open(), lambda page: page.keyboard.type("Basal c"))
        assert page.locator("[name=own-diagnosis]").input_value() == "Basal c"
        assert drafted(**{"own-diagnosis": "Basal c"})
        forget_sessions()
        page.get_by_label("Certain").check()
        page.keyboard.press("Enter")
        log_in_again(page)
        page.wait_for_selector("#narrative")
    assert OwnDiagnosis.objects.get().diagnosis == "Basal c"


def test_an_example_of_calibration_half_scored_outlives_the_page(live_server) -> None:
    study = make_study(started=False, gate_kappa=0.6)
    for level in LEVELS:
        scores = dict.fromkeys(DIMENSION_KEYS, level)
        add_example(
            rubric=study.rubric, version=make_version(), role="gate", scores=scores, explanations={}, actor=None
        )
    study = start_study(study=study, actor=None)
    rater = make_rater(study)
    start_attempt(rubric=study.rubric, rater=rater)
    with desk_for(rater, live_server.url) as desk:
        page = desk.context().new_page()
        page.goto(desk.address + reverse("rating:calibration_example", args=[study.public_id, 1]))
        page = closed_before_it_was_sent(page, lambda page: score(page, "345"))
        assert page.locator("#safety-4").is_checked()
        score(page, "012")
        with page.expect_navigation():
            page.keyboard.press("Enter")
    answered = CalibrationAnswer.objects.get(position=1)
    assert list(answered.scores.values()) == [3, 4, 5, 0, 1, 2]


def test_logging_out_sends_what_is_left_and_clears_the_journal(desk) -> None:
    page = desk.open()
    page.route("**/draft/", lambda route: route.abort())
    score(page, "3")
    wait_for(page, "kept")
    page.unroute("**/draft/")
    page.locator(".user-menu summary").click()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/accounts/login/**")
    assert drafted(accuracy="3")
    assert page.evaluate(JOURNALS) == []


def test_each_field_says_whether_it_is_saved(desk) -> None:
    page = desk.open()
    score(page, "3")
    wait_for(page, "saved")
    page.route("**/draft/", lambda route: route.abort())
    score(page, "4")
    wait_for(page, "kept")
    states = page.evaluate(
        "[...document.querySelectorAll('[data-saved-for]')].map(m => [m.dataset.savedFor, m.dataset.savedState])"
    )
    assert dict(states)["accuracy"] == "saved"
    assert dict(states)["safety"] == "kept"


def test_active_time_leaves_out_idle_minutes(desk) -> None:
    context = desk.context()
    page = context.new_page()
    page.clock.install()
    page.goto(desk.address + reverse("rating:next"))
    page.mouse.move(200, 200)
    page.clock.run_for(10_000)
    page.clock.run_for(300_000)
    page.mouse.move(220, 220)
    page.clock.run_for(10_000)
    assert 35 <= page.evaluate("Rating.clock.seconds()") <= 50
