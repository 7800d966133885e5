"""Correcting a narrative step by step, and passing one on."""

import json

import pytest
from django.urls import reverse

from scoring.models import Assignment, CaseFlag, NarrativeVersion, Rating, RatingDraft, Skip
from scoring.rubric import DIMENSION_KEYS
from scoring.services.queue import enqueue_versions
from tests.factories import claim, make_rater, make_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def revise(held):
    return reverse("rating:revise", args=[held.public_id])


@pytest.fixture
def skip(held):
    return reverse("rating:skip", args=[held.public_id])


def step_fields(version) -> dict[str, str]:
    return {f"step-{step['number']}": step["text"] for step in version.step_texts()}


def test_the_editor_has_a_field_for_each_step(page, held, revise) -> None:
    html = page.get(revise).content.decode()
    for name, text in step_fields(held.version).items():
        assert f'name="{name}"' in html
        assert text in html


def test_htmx_gets_the_form_alone(page, revise) -> None:
    html = page.get(revise, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in html
    assert 'name="step-1"' in html


def test_a_corrected_step_becomes_the_next_version_queued_for_others(page, study, held, revise) -> None:
    fields = step_fields(held.version) | {"step-2": "It is oval,\r\nwith a darker focus."}
    answer = page.post(revise, fields, follow=True)
    assert answer.redirect_chain[-1][0] == reverse("rating:assignment", args=[held.public_id])
    assert "Version 2 is queued for your colleagues." in answer.content.decode()
    revised = NarrativeVersion.objects.get(number=2)
    assert revised.text == held.version.text.replace("It is oval and small.", "It is oval,\nwith a darker focus.")
    assert Assignment.objects.filter(version=revised, state="open").count() == study.overlap
    assert claim(study, make_rater(study)).version == revised


def test_a_correction_sent_twice_is_one_version(page, held, revise) -> None:
    first, second = (page.post(revise, {"step-2": "It is oval and large."}, follow=True) for _ in range(2))
    assert first.status_code == second.status_code == 200
    assert "Version 2 is queued for your colleagues." in second.content.decode()
    assert NarrativeVersion.objects.filter(parent=held.version).count() == 1
    assert Assignment.objects.filter(purpose="revision").count() == 1


def test_after_the_scores_of_the_draft_her_own_version_waits_for_hers_and_may_be_left(page, held, revise) -> None:
    page.post(revise, {"step-2": "It is oval and large."})
    answer = page.post(
        reverse("rating:assignment", args=[held.public_id]), dict.fromkeys(DIMENSION_KEYS, "3"), follow=True
    )
    html = answer.content.decode()
    assert "This is your own version." in html
    assert [(c.op, c.text) for c in answer.context["changes"] if c.op != "equal"] == [
        ("delete", "small"),
        ("insert", "large"),
    ]
    own = answer.context["assignment"]
    assert (own.purpose, own.version.number) == ("revision", 2)
    left = page.post(reverse("rating:skip", args=[own.public_id]), follow=True)
    assert left.context["assignment"].purpose == "live"
    assert not Rating.objects.filter(version=own.version).exists()


def test_a_text_mended_after_its_submission_leads_to_the_own_version(page, held, revise) -> None:
    page.post(reverse("rating:assignment", args=[held.public_id]), dict.fromkeys(DIMENSION_KEYS, "3"))
    answer = page.post(revise, {"step-2": "It is oval and large."}, follow=True)
    assert answer.context["is_own_revision"]
    page.post(answer.redirect_chain[-1][0], dict.fromkeys(DIMENSION_KEYS, "5"))
    assert [r.purpose for r in Rating.objects.order_by("pk")] == ["live", "revision"]
    assert not Rating.objects.live().filter(version__number=2).exists()


def test_line_ends_of_the_browser_change_nothing(page, study, rater) -> None:
    version = make_version(text="<think> One line\r\nand the next. </think><answer> Naevus. </answer>")
    enqueue_versions(study=study, versions=[version], actor=None, priority=9)
    answer = page.post(reverse("rating:revise", args=[claim(study, rater).public_id]), step_fields(version))
    assert "Nothing was changed." in answer.content.decode()


def test_nothing_changed_is_said_and_stores_nothing(page, held, revise) -> None:
    answer = page.post(revise, step_fields(held.version))
    assert answer.status_code == 422
    assert "Nothing was changed." in answer.content.decode()
    assert NarrativeVersion.objects.filter(narrative=held.version.narrative).count() == 1


def test_a_step_that_does_not_exist_is_refused_and_the_text_stays_in_the_form(page, revise) -> None:
    answer = page.post(revise, {"step-99": "x", "step-1": "A corrected first step."})
    assert "There is no step 99" in answer.content.decode()
    assert "A corrected first step." in answer.content.decode()


def test_corrections_in_the_draft_come_back_and_are_gone_once_saved(page, held, revise) -> None:
    draft = {"revision": 0, "count": 1, "page": "tab", "fields": {"accuracy": "2", "step-2": "Half a correction"}}
    page.post(reverse("rating:draft", args=[held.public_id]), json.dumps(draft), content_type="application/json")
    assert "Half a correction" in page.get(revise).content.decode()
    page.post(revise, {"step-2": "A whole correction."})
    assert RatingDraft.objects.get().content["fields"] == {"accuracy": "2"}


def test_a_correction_begun_outlives_the_submission_of_the_scores(page, held, revise) -> None:
    fields = {"accuracy": "2", "step-1": held.version.step_texts()[0]["text"], "step-2": "Half a correction"}
    draft = {"revision": 0, "count": 1, "page": "tab", "fields": fields}
    page.post(reverse("rating:draft", args=[held.public_id]), json.dumps(draft), content_type="application/json")
    page.post(reverse("rating:assignment", args=[held.public_id]), dict.fromkeys(DIMENSION_KEYS, "4"))
    assert Rating.objects.get().assignment == held
    assert RatingDraft.objects.get().content["fields"] == {"step-2": "Half a correction"}
    assert f'href="{revise}">Finish the correction' in page.get(reverse("rating:mine")).content.decode()
    assert "Half a correction" in page.get(revise).content.decode()
    page.post(revise, {"step-2": "A whole correction."})
    assert "Finish the correction" not in page.get(reverse("rating:mine")).content.decode()


def test_steps_that_were_opened_and_not_changed_leave_no_draft(page, held) -> None:
    draft = {"revision": 0, "count": 1, "page": "tab", "fields": step_fields(held.version)}
    page.post(reverse("rating:draft", args=[held.public_id]), json.dumps(draft), content_type="application/json")
    page.post(reverse("rating:assignment", args=[held.public_id]), dict.fromkeys(DIMENSION_KEYS, "4"))
    assert Rating.objects.exists() and not RatingDraft.objects.exists()


def test_skipping_gives_the_slot_back_and_leads_on(page, study, rater, held, skip) -> None:
    answer = page.post(skip, {"reason": "outside_expertise"})
    assert Skip.objects.get(rater=rater).version == held.version
    assert answer.url == reverse("rating:assignment", args=[claim(study, rater).public_id])
    held.refresh_from_db()
    assert (held.state, held.rater) == ("open", None)


def test_an_identifying_feature_flags_the_case(page, held, skip) -> None:
    page.post(skip, {"reason": "identifying", "note": "A face."})
    flag = CaseFlag.objects.get()
    assert (flag.kind, flag.note, flag.case) == ("identifying", "A face.", held.version.narrative.case)


@pytest.mark.parametrize(
    ("form", "words"),
    [({}, "Choose a reason"), ({"reason": "bored"}, "Choose a reason"), ({"reason": "other"}, "in a few words")],
)
def test_a_skip_needs_its_reason(page, skip, form, words) -> None:
    answer = page.post(skip, form)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Skip.objects.exists()
