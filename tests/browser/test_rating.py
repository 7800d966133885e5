"""The rating page in Chromium: how few keys a case takes, marks, going back, a clean console and policy."""

from collections.abc import Iterator

import pytest
from django.urls import reverse

from scoring.models import Assignment, Dispute, Mark, NarrativeVersion, Rating
from scoring.rubric import DIMENSION_KEYS
from scoring.worddiff import DELETE, EQUAL, INSERT, word_diff
from tests.browser.desk import Desk, desk_for
from tests.factories import make_case, make_queue, make_rater, make_study, make_version

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def desk(live_server) -> Iterator[Desk]:
    """A rater before a queue of three narratives."""
    study = make_study()
    make_queue(study, 3)
    with desk_for(make_rater(study), live_server.url) as desk:
        yield desk


class Hands:
    """Counts what she does: a key, a click, or a run of typing is one action each."""

    def __init__(self, page) -> None:
        self.page, self.actions, self.clicks = page, 0, 0

    def press(self, *keys: str) -> "Hands":
        for key in keys:
            self.page.keyboard.press(key)
            self.actions += 1
        return self

    def click(self, selector: str, **options) -> "Hands":
        self.page.locator(selector).first.click(**options)
        self.actions += 1
        self.clicks += 1
        return self

    def write(self, text: str) -> "Hands":
        """Typing itself is not an action."""
        self.page.keyboard.type(text)
        return self


def next_case(page, before: str) -> None:
    page.wait_for_function("(before) => document.getElementById('scores')?.dataset.assignment !== before", arg=before)


def held(page) -> str:
    return page.locator("#scores").get_attribute("data-assignment")


def test_one_case_is_seven_keys_and_no_click_and_the_console_stays_clean(desk) -> None:
    page = desk.open()
    first, hands = held(page), Hands(page)
    hands.press(*"345012", "Enter")
    next_case(page, first)
    assert (hands.actions, hands.clicks) == (7, 0)
    assert list(Rating.objects.get().scores_by_dimension().values()) == [3, 4, 5, 0, 1, 2]
    assert page.locator("#previous").is_visible()
    assert page.evaluate("violations") == []
    assert desk.noise == []


def test_a_case_with_one_comment_and_one_marked_step_is_at_most_15_actions(desk) -> None:
    page = desk.open()
    first, hands = held(page), Hands(page)
    hands.press("3", "c").write("The border is not regular.").press("Escape")
    hands.press("m", "2", "1")
    hands.press(*"45012", "Enter")
    next_case(page, first)
    assert hands.actions <= 15 and hands.clicks == 0
    rating = Rating.objects.get()
    assert list(rating.scores_by_dimension().values()) == [3, 4, 5, 0, 1, 2]
    assert rating.scores.get(dimension="safety").comment == "The border is not regular."
    mark = rating.marks.get()
    assert (mark.step, mark.verdict, mark.error_type) == (2, "error", "hallucinated_finding")


def test_a_one_word_revision_and_its_scores_are_at_most_12_actions(desk) -> None:
    page = desk.open()
    first, hands = held(page), Hands(page)
    Hands(page).press(*"345012")
    hands.press("e")
    page.locator("[data-revise-form] textarea").first.wait_for()
    hands.click("[data-revise-form] textarea", click_count=2, position={"x": 90, "y": 22})
    hands.write("MENDED")
    with page.expect_navigation():
        hands.press("Control+Enter")
    assert held(page) == first
    hands.press("Enter")
    next_case(page, first)
    own = held(page)
    hands.press(*"555555")
    hands.press("Enter")
    next_case(page, own)
    assert hands.actions <= 12
    revised = NarrativeVersion.objects.get(number=2)
    changed = [chunk for chunk in word_diff(revised.parent.text, revised.text) if chunk.op != EQUAL]
    assert [chunk.op for chunk in changed] == [DELETE, INSERT] and changed[1].text.strip() == "MENDED"
    draft, of_own = Rating.objects.order_by("pk")
    assert (draft.version, of_own.version) == (revised.parent, revised)
    assert (draft.purpose, of_own.purpose) == ("live", "revision")


@pytest.mark.parametrize("step", [1, 4, 6])
def test_any_step_is_marked_in_three_keys(desk, step) -> None:
    page = desk.open()
    Hands(page).press("m", str(step), "0")
    assert page.locator(f"[name=mark-{step}]").input_value() == "ok"
    assert page.locator(".dimension.is-active").evaluate("(node) => node === document.activeElement")
    Hands(page).press("m", "m", "5")
    assert page.locator(f"[name=mark-{step}]").input_value() == "wrong_term"
    assert page.locator(f"[data-step='{step}'] .mark-chip").inner_text() == "Wrong term"


def test_a_mark_takes_words_a_point_severity_a_dimension_and_a_note_by_keyboard(desk) -> None:
    page = desk.open()
    first, hands = held(page), Hands(page)
    hands.press("m", "2", "3", "v", "v", "g")
    hands.press("w", "ArrowRight", "ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight", "Enter")
    hands.press("p", "ArrowRight", "ArrowDown", "Enter")
    hands.press("n").write("Small, yes.").press("Enter")
    hands.press(*"444444", "Enter")
    next_case(page, first)
    mark = Mark.objects.get()
    text = mark.rating.version.text
    assert text[mark.span_start : mark.span_end] == "oval and small"
    assert (mark.error_type, mark.severity, mark.dimension) == ("wrong_reasoning", "major", "accuracy")
    assert (mark.point_x, mark.point_y, mark.note) == (0.52, 0.52, "Small, yes.")
    assert mark.image.case == mark.rating.version.narrative.case


def test_words_and_a_point_are_marked_with_the_mouse(desk) -> None:
    page = desk.open()
    page.locator("[data-step='2'] [data-text]").dblclick(position={"x": 45, "y": 12})
    page.get_by_role("button", name="Wrong term").click()
    page.get_by_role("button", name="Major").click()
    page.get_by_role("button", name="Point on the image").click()
    box = page.locator("[data-viewer]").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.locator(".points span").inner_text() == "2"
    before = held(page)
    page.get_by_role("button", name="Close").first.click()
    Hands(page).press(*"444444", "Enter")
    next_case(page, before)
    mark = Mark.objects.get()
    assert mark.rating.version.text[mark.span_start : mark.span_end] in {"oval", "is", "and"}
    assert mark.severity == "major"
    assert abs(mark.point_x - 0.5) < 0.01 and abs(mark.point_y - 0.5) < 0.01


def test_a_mark_is_taken_back_and_one_without_a_judgement_leaves_nothing(desk) -> None:
    page = desk.open()
    hands = Hands(page).press("m", "2", "1", "v", "Backspace", "m", "3", "Escape", "w", "Enter", "Escape")
    values = page.eval_on_selector_all("[name^=mark-]", "(fields) => fields.map((field) => field.value).join('')")
    assert values == ""
    assert page.locator("#narrative mark").count() == 0
    assert hands.press("4").page.locator("#accuracy-4").is_checked()


def test_keys_rest_while_typing_and_in_dialogs(desk) -> None:
    page = desk.open()
    Hands(page).press("C").write("m2 score 3 x").press("Escape", "?")
    assert page.locator("#dialog-keys").is_visible()
    Hands(page).press("5", "m")
    assert page.locator("input:checked").count() == 0
    for _ in range(3):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement.closest('dialog') !== null || document.activeElement === document.body"
        )
    Hands(page).press("Escape", "5")
    assert page.locator("#accuracy-5").is_checked()
    assert page.locator("[name=comment]").input_value() == "m2 score 3 x"


def test_back_correct_reveal_and_dispute_by_keys(desk) -> None:
    page = desk.open()
    first = held(page)
    Hands(page).press(*"444444", "Enter")
    next_case(page, first)
    second = held(page)
    with page.expect_navigation():
        Hands(page).press("b")
    assert held(page) == first and page.locator("#safety-4").is_checked()
    Hands(page).press("2", "Enter")
    next_case(page, first)
    assert held(page) == second
    now = Rating.objects.current().get()
    assert now.scores_by_dimension()["accuracy"] == 2 and now.is_first
    Hands(page).press("r")
    page.locator("#previous strong", has_text="seborrhoeic keratosis").first.wait_for()
    now.refresh_from_db()
    assert now.is_sealed and page.locator("[data-key=b]").count() == 0
    Hands(page).press("d").write("Melanoma")
    page.get_by_label("Probable").check()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert Dispute.objects.get().diagnosis == "Melanoma"
    assert page.get_by_text("You hold it to be Melanoma.").is_visible()
    assert held(page) == second


def test_submitting_early_names_what_is_missing_and_sends_nothing(desk) -> None:
    page = desk.open()
    Hands(page).press(*"345", "Enter")
    missing = page.locator("[data-missing]").inner_text()
    assert "Clinical Coverage, Reasoning Coherence, Description Precision" in missing
    assert not Rating.objects.exists()


def test_cannot_judge_is_two_keys(desk) -> None:
    page = desk.open()
    first = held(page)
    Hands(page).press("x", "3", *"44444", "Enter")
    next_case(page, first)
    assert Rating.objects.get().scores.get(dimension="accuracy").cannot_judge == "missing_context"


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
