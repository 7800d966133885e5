"""The rating page in Chromium: how few keys a case takes, marks, going back, a clean console and policy."""

from collections.abc import Iterator

import pytest

from scoring.models import Dispute, Mark, NarrativeVersion, Rating
from scoring.worddiff import DELETE, EQUAL, INSERT, word_diff
from tests.browser.desk import Desk, desk_for
from tests.browser.hands import Hands, held, next_case
from tests.factories import make_queue, make_rater, make_study

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def desk(live_server) -> Iterator[Desk]:
    """A rater before a queue of three narratives."""
    study = make_study()
    make_queue(study, 3)
    with desk_for(make_rater(study), live_server.url) as desk:
        yield desk


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
