"""Scoring one narrative through the page, without JavaScript."""

import pytest
from django.urls import reverse

from scoring.models import Assignment, Rating, RatingDraft
from scoring.rubric import DIMENSION_KEYS, DIMENSIONS
from scoring.services.amendments import amend_study
from tests.factories import claim, make_administrator, make_case, make_rater, make_version

pytestmark = pytest.mark.django_db


def entered(**changes) -> dict[str, str]:
    return dict.fromkeys(DIMENSION_KEYS, "4") | {"comment": "", "active_seconds": "41"} | changes


def address(assignment, name="assignment") -> str:
    return reverse(f"rating:{name}", args=[assignment.public_id])


def test_the_page_shows_image_steps_questions_and_every_anchor(page, held) -> None:
    html = page.get(address(held)).content.decode()
    image = held.version.narrative.case.images.get()
    assert reverse("cases:image", args=[image.public_id]) in html
    for heading in ("Findings", "Differential and reasoning", "Final diagnosis", "Advice"):
        assert f"<h2>{heading}</h2>" in html
    assert "Not known to the author" not in html
    for dimension in DIMENSIONS:
        assert dimension.question in html
        assert all(anchor in html for anchor in dimension.anchors)
    assert "Forearm" in html
    assert "54 y · Female" in html
    assert "Skin tone: light (three-level)" in html
    assert "no-store" in page.get(address(held)).headers["Cache-Control"]


def test_context_that_the_author_was_not_told_is_marked_as_extra(page, held) -> None:
    version = type(held.version).objects.filter(pk=held.version_id)
    version.update(context_given=["body_site"])
    context = page.get(address(held)).context
    assert context["chips"] == ["Forearm"]
    assert context["extra_chips"] == ["54 y", "Female", "Skin tone: light (three-level)"]
    assert ">Not known to the author:<" in page.get(address(held)).content.decode()
    version.update(context_given=None)
    html = page.get(address(held)).content.decode()
    assert ">Perhaps not known to the author:<" in html


def test_context_that_the_case_lacks_is_not_shown(page, study, held) -> None:
    case = held.version.narrative.case
    type(case).objects.filter(pk=case.pk).update(age=None, sex="", body_site="", skin_tone="", skin_tone_scale="")
    assert 'class="chips"' not in page.get(address(held)).content.decode()


def test_six_scores_make_one_rating_and_lead_to_the_next_case(page, rater, held) -> None:
    answer = page.post(address(held), entered(safety="2", safety_comment="No follow-up.", comment="Good."))
    rating = Rating.objects.get()
    assert rating.scores_by_dimension() == dict.fromkeys(DIMENSION_KEYS, 4) | {"safety": 2}
    assert rating.scores.get(dimension="safety").comment == "No follow-up."
    assert (rating.comment, rating.active_seconds, rating.rater) == ("Good.", 41, rater)
    following = Assignment.objects.get(rater=rater, state="claimed")
    assert answer.url == address(following)


def test_cannot_judge_is_stored_as_none_with_its_reason(page, held) -> None:
    page.post(address(held), entered(accuracy="x", accuracy_reason="image_quality"))
    score = Rating.objects.get().scores.get(dimension="accuracy")
    assert (score.value, score.cannot_judge) == (None, "image_quality")


def test_cannot_judge_without_a_reason_is_refused(page, held) -> None:
    answer = page.post(address(held), entered(accuracy="x"))
    assert answer.status_code == 422
    assert "Say why Accuracy cannot be judged." in answer.content.decode()


def test_a_missing_dimension_returns_the_page_with_nothing_lost(page, held) -> None:
    answer = page.post(address(held), entered(safety="", accuracy_comment="A <naevus> & more", comment="Kept"))
    html = answer.content.decode()
    assert answer.status_code == 422
    assert not Rating.objects.exists()
    assert "Score Safety, or choose “cannot judge”." in html
    assert "A &lt;naevus&gt; &amp; more" in html
    assert "Kept</textarea>" in html
    rows = answer.context["rows"]
    assert [row.is_scored for row in rows] == [True, False, True, True, True, True]
    assert [row.dimension.key for row in rows if row.is_active] == ["safety"]


@pytest.mark.parametrize("value", ["9", "-1", "3.5", "nan", "good"])
def test_a_value_off_the_scale_is_refused(page, held, value) -> None:
    answer = page.post(address(held), entered(accuracy=value))
    assert answer.status_code == 422
    assert "Accuracy takes a whole number from 0 to 5." in answer.content.decode()
    assert not Rating.objects.exists()


def test_the_same_form_sent_twice_is_one_rating(page, held) -> None:
    form = entered(client_uuid=str(page.get(address(held)).context["client_uuid"]))
    first, second = page.post(address(held), form), page.post(address(held), form)
    assert first.status_code == second.status_code == 302
    assert Rating.objects.count() == 1


def test_the_identity_of_a_submission_survives_a_reload(page, held) -> None:
    assert page.get(address(held)).context["client_uuid"] == page.get(address(held)).context["client_uuid"]


def test_a_second_submission_under_another_identity_is_refused(page, held) -> None:
    page.post(address(held), entered())
    answer = page.post(address(held), entered(client_uuid="5f5c9a2e-5a0e-4c62-8f7e-0f2f8a3c1d11"))
    assert "already submitted" in answer.content.decode()
    assert Rating.objects.count() == 1


@pytest.mark.parametrize("name", ["assignment", "revise", "skip"])
def test_an_assignment_of_somebody_else_is_not_found(client, study, held, name) -> None:
    client.force_login(make_rater(study))
    assert client.get(address(held, name)).status_code == 404
    assert client.post(address(held, name), entered()).status_code == 404


@pytest.mark.parametrize("name", ["assignment", "revise", "skip", "draft", "lease", "reveal", "dispute"])
def test_without_a_log_in_nothing_is_shown(client, held, name) -> None:
    answer = client.post(address(held, name))
    assert answer.status_code == 302
    assert answer.url.startswith(reverse("accounts:login"))


def test_opening_the_page_renews_the_lease(page, held) -> None:
    before = held.lease_expires
    page.get(address(held))
    held.refresh_from_db()
    assert held.lease_expires > before


def test_a_study_that_never_reveals_keeps_the_reference(page, study, held) -> None:
    amend_study(study=study, actor=make_administrator(), reason="Blind readers.", changes={"reveal": "never"})
    case = held.version.narrative.case
    type(case).objects.filter(pk=case.pk).update(diagnosis="Merkel cell carcinoma")
    html = page.post(address(held), entered(), follow=True).content.decode()
    assert "Merkel" not in html and "Show the reference" not in html
    page.post(address(held, "reveal"))
    for name in ("mine", "next"):
        assert "Merkel" not in page.get(reverse(f"rating:{name}"), follow=True).content.decode()


def test_a_text_that_was_cut_off_says_so(page, study, rater) -> None:
    from scoring.services.queue import enqueue_versions

    version = make_version(case=make_case(), text="<think> A brown plaque is seen.")
    enqueue_versions(study=study, versions=[version], actor=None)
    assert "stops before its conclusion" in page.get(address(claim(study, rater))).content.decode()


def test_a_long_field_is_refused_in_words(page, held) -> None:
    answer = page.post(address(held), entered(comment="x" * 10_001))
    assert "Shorten it." in answer.content.decode()
    assert not Rating.objects.exists() and not RatingDraft.objects.exists()
