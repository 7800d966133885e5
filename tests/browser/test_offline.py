"""Without a line nothing is lost: what was entered or submitted is sent later, once, in any tab or on any machine."""

from collections.abc import Iterator

import pytest

from scoring.models import Rating, RatingDraft
from tests.browser.desk import Desk, desk_for
from tests.browser.drafts import drafted, score, wait_for
from tests.factories import make_queue, make_rater, make_study

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def rater():
    study = make_study()
    make_queue(study, 3)
    return make_rater(study)


@pytest.fixture
def desk(rater, live_server) -> Iterator[Desk]:
    with desk_for(rater, live_server.url) as desk:
        yield desk


def test_scores_and_words_entered_offline_are_kept_and_sent(desk) -> None:
    page = desk.open()
    page.context.set_offline(True)
    score(page, "2")
    page.keyboard.press("c")
    page.keyboard.type("Which border? 5 mm")
    wait_for(page, "kept")
    assert not RatingDraft.objects.exists()
    page.context.set_offline(False)
    wait_for(page, "saved")
    assert drafted(accuracy="2", safety_comment="Which border? 5 mm")


def test_a_submission_made_offline_is_sent_later_and_once(desk) -> None:
    page = desk.open()
    first = page.url
    score(page)
    page.context.set_offline(True)
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    wait_for(page, "kept")
    page.context.set_offline(False)
    page.wait_for_url(lambda url: url != first)
    assert Rating.objects.count() == 1


def test_a_submission_whose_answer_was_lost_is_one_rating(desk) -> None:
    page = desk.open()
    first = page.url
    score(page)
    wait_for(page, "saved")
    lost = []

    def lose(route) -> None:
        if route.request.method == "POST" and not lost:
            lost.append(route.fetch().status)
            route.abort()
        else:
            route.continue_()

    page.route(first, lose)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: url != first)
    assert lost == [200]
    assert Rating.objects.count() == 1


def test_closing_the_lid_on_an_unsent_submission_sends_it_at_the_next_visit(desk) -> None:
    page = desk.open()
    page.route("**/*", lambda route: route.abort())
    score(page)
    page.keyboard.press("Enter")
    wait_for(page, "kept")
    context = page.context
    page.close()
    again = desk.open(context)
    again.wait_for_selector("#previous")
    assert list(Rating.objects.get().scores_by_dimension().values()) == [3, 4, 5, 0, 1, 2]


def test_the_older_of_two_tabs_is_told_and_the_newer_has_its_words(desk) -> None:
    older = desk.open()
    older.route("**/draft/", lambda route: route.abort())
    score(older, "3")
    wait_for(older, "kept")
    newer = desk.open(older.context)
    older.locator("dialog#told").wait_for()
    assert "another tab" in older.locator("dialog#told").inner_text()
    wait_for(newer, "saved")
    assert drafted(accuracy="3")
    older.unroute("**/draft/")
    older.locator("dialog#told button").click()
    score(older, "1")
    score(newer, "5")
    newer.wait_for_timeout(1_000)
    wait_for(newer, "saved")
    assert drafted(accuracy="3", safety="5")


def test_a_tab_that_was_made_before_the_older_ones_last_save_shows_it_all_the_same(desk) -> None:
    older = desk.open()
    score(older, "3")
    wait_for(older, "saved")
    newer = older.context.new_page()

    def hold(route) -> None:
        """The newer page is made; before it arrives, the older one changes a score and saves it."""
        made = route.fetch()
        older.keyboard.press("ArrowUp")
        score(older, "14")
        wait_for(older, "saved")
        route.fulfill(response=made)

    newer.route(older.url, hold)
    newer.goto(older.url)
    newer.locator("#safety-4:checked").wait_for()
    assert newer.locator("#accuracy-1").is_checked()
    older.locator("dialog#told").wait_for()
    score(newer, "5")
    wait_for(newer, "saved")
    assert drafted(accuracy="1", safety="4", medical_groundedness="5")
    assert not newer.locator("dialog#told").is_visible()


def test_a_page_on_another_machine_that_is_behind_overwrites_nothing_and_loses_no_words(desk) -> None:
    here = desk.open()
    score(here, "3")
    wait_for(here, "saved")
    there = desk.open()
    score(there, "4")
    wait_for(there, "saved")
    here.keyboard.press("C")
    here.keyboard.type("Said here")
    here.locator("dialog#told").wait_for()
    assert drafted(accuracy="3", safety="4", comment=None)
    here.locator("dialog#told [data-again]").click()
    here.wait_for_load_state()
    wait_for(here, "saved")
    assert drafted(accuracy="3", safety="4", comment="Said here")
    assert here.locator("#safety-4").is_checked()
