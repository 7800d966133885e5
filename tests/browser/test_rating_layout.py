"""The rating page's looks: what stands where, how large a target is, several images, a phone, no scripts."""

from collections.abc import Iterator

import pytest
from django.urls import reverse

from scoring.models import Assignment, Mark, Rating
from scoring.rubric import DIMENSION_KEYS
from tests.browser.desk import Desk, desk_for
from tests.browser.hands import Hands, held, next_case
from tests.factories import make_case, make_queue, make_rater, make_study, make_version

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def desk(live_server) -> Iterator[Desk]:
    """A rater before a queue of three narratives."""
    study = make_study()
    make_queue(study, 3)
    with desk_for(make_rater(study), live_server.url) as desk:
        yield desk


def test_several_images_keep_each_its_zoom(live_server) -> None:
    study = make_study()
    case = make_case()
    other = make_case().images.get()
    case.images.create(**{f: getattr(other, f) for f in ("file", "thumbnail", "media_type", "width", "height", "size")},
                       position=1, sha256=other.sha256, original_sha256=other.original_sha256)  # fmt: skip
    from scoring.services.queue import enqueue_versions

    enqueue_versions(study=study, versions=[make_version(case=case)], actor=None)
    with desk_for(make_rater(study), live_server.url) as desk:
        page = desk.open()
        zoom = page.locator("[data-zoom]")
        page.wait_for_function("document.querySelector('[data-zoom]').textContent !== ''")
        fitted = zoom.inner_text()
        Hands(page).press("+")
        page.wait_for_function("(before) => document.querySelector('[data-zoom]').textContent !== before", arg=fitted)
        larger = zoom.inner_text()
        Hands(page).press("i")
        assert page.locator("[data-image][aria-current]").get_attribute("data-image") == "2"
        page.wait_for_function("(wanted) => document.querySelector('[data-zoom]').textContent === wanted", arg=fitted)
        Hands(page).press("3", "i")
        page.wait_for_function("(wanted) => document.querySelector('[data-zoom]').textContent === wanted", arg=larger)


def test_the_image_has_45_per_cent_and_six_anchors_stand_before_a_key_is_pressed(desk) -> None:
    for width in (1100, 1280, 1440, 1920):
        page = desk.open(viewport={"width": width, "height": 900})
        assert page.locator(".image-pane").bounding_box()["width"] >= 0.45 * width - 0.5
        anchors = page.locator(".detail.is-active .anchors li")
        assert anchors.count() == 6
        bottom = page.locator(".scores-foot").bounding_box()["y"]
        for index in range(6):
            box = anchors.nth(index).bounding_box()
            assert box["y"] + box["height"] <= bottom
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.context.close()


@pytest.mark.parametrize(("width", "height"), [(390, 844), (820, 1180)])
def test_targets_are_44_px_on_touch_and_nothing_overflows(desk, width, height) -> None:
    page = desk.open(viewport={"width": width, "height": height}, has_touch=True, is_mobile=True)
    for selector, count in ((".dimension.is-active .score-keys label", 7), ("#narrative .step-number", 6)):
        keys = page.locator(selector)
        assert keys.count() == count
        for index in range(count):
            box = keys.nth(index).bounding_box()
            assert min(box["width"], box["height"]) >= 44
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    image = page.locator(".image-pane").bounding_box()
    assert image["y"] < height / 3
    page.mouse.wheel(0, 600)
    assert page.locator("[data-viewer]").is_visible()


def test_with_a_pointer_every_target_is_24_px(desk) -> None:
    page = desk.open()
    Hands(page).press("m", "2", "1", "m", "2")
    small = page.eval_on_selector_all(
        "main :is(a, button, select, summary, .score-keys label, .anchors label)",
        """(nodes) => nodes.map((node) => [node.textContent.trim(), node.getBoundingClientRect()])
           .filter(([, { width, height }]) => width && height && Math.min(width, height) < 24)
           .map(([text, { width, height }]) => `${text} ${width} × ${height}`)""",
    )
    assert small == []


def test_a_phone_scores_by_taps(desk) -> None:
    page = desk.open(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    first = held(page)
    for key in DIMENSION_KEYS:
        page.locator(f"label[for={key}-4]").first.tap()
        page.wait_for_timeout(250)
    page.locator("[data-submit]").tap()
    next_case(page, first)
    assert set(Rating.objects.get().scores_by_dimension().values()) == {4}


def test_without_javascript_a_case_is_scored_marked_and_submitted(desk) -> None:
    page = desk.open(java_script_enabled=False)
    page.get_by_text("Mark step 2").click()
    page.locator("[name=mark-2]").select_option("missed_finding")
    for key in DIMENSION_KEYS:
        page.locator(f"label[for={key}-5]").first.click()
    page.locator("[data-submit]").click()
    assert Mark.objects.get().error_type == "missed_finding"
    assert Assignment.objects.filter(state="submitted").count() == 1
    page.get_by_role("button", name="Show the reference").click()
    assert page.locator("#previous > p strong").inner_text() == "seborrhoeic keratosis"
    assert page.url.startswith(desk.address + reverse("rating:next"))
