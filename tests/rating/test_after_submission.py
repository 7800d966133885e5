"""After a submission: going back, looking at the reference, disputing it, changing what is sealed."""

import pytest
from django.urls import reverse
from django.utils import timezone

from scoring.models import Case, Dispute, Rating, Reveal
from scoring.rubric import DIMENSION_KEYS
from tests.factories import make_queue, make_rater, rate

pytestmark = pytest.mark.django_db


def entered(value="4", **changes) -> dict[str, str]:
    return dict.fromkeys(DIMENSION_KEYS, value) | changes


@pytest.fixture
def submitted(page, held):
    """Her first submission, with the next case in her hands."""
    page.post(reverse("rating:assignment", args=[held.public_id]), entered("2", comment="Too short.", safety="x") | {
        "safety_reason": "image_quality", "mark-2": "wrong_term", "mark-2-severity": "major",
    })  # fmt: skip
    Case.objects.filter(pk=held.version.narrative.case_id).update(diagnosis="Merkel cell carcinoma")
    return Rating.objects.get()


def address(rating, name="assignment") -> str:
    return reverse(f"rating:{name}", args=[rating.assignment.public_id])


def following(page):
    return page.get(reverse("rating:next"), follow=True)


def test_the_next_case_offers_the_way_back_and_the_reference_but_does_not_show_it(page, submitted) -> None:
    html = following(page).content.decode()
    assert f'href="{address(submitted)}" data-key="b"' in html
    assert f'action="{address(submitted, "reveal")}"' in html
    assert "Merkel" not in html


def test_going_back_shows_what_she_entered(page, submitted) -> None:
    context = page.get(address(submitted)).context
    accuracy, safety = context["rows"][:2]
    assert [level.value for level in accuracy.levels if level.is_chosen] == [2]
    assert safety.cannot_judge and [key for key, _, chosen in safety.reasons if chosen] == ["image_quality"]
    assert context["fields"]["comment"] == "Too short."
    marks = {step["number"]: step["mark"] for section in context["sections"] for step in section["steps"]}
    assert (marks[2]["value"], marks[2]["severity"], marks[1]["value"]) == ("wrong_term", "major", "")
    assert (context["corrects"], context["is_informed_change"], context["reference"]) == (submitted, False, None)


def correct(page, rating, value="5"):
    context = page.get(address(rating)).context
    form = entered(value, client_uuid=str(context["client_uuid"]), corrects=str(context["corrects"].public_id))
    return page.post(address(rating), form), form


def test_a_correction_takes_its_place_and_leads_on(page, submitted) -> None:
    answer, form = correct(page, submitted)
    assert answer.status_code == 302 and answer.url != address(submitted)
    now = Rating.objects.current().get()
    assert now.supersedes == submitted and now.is_first and not now.informed
    assert page.post(address(submitted), form).status_code == 302
    assert Rating.objects.count() == 2


def test_a_refused_correction_keeps_all_that_was_entered(page, submitted) -> None:
    context = page.get(address(submitted)).context
    answer = page.post(address(submitted), entered(accuracy="9", corrects=str(context["corrects"].public_id)))
    assert answer.status_code == 422
    assert answer.context["corrects"] == submitted
    assert Rating.objects.get() == submitted


def test_the_reveal_shows_the_reference_and_seals(page, submitted) -> None:
    html = page.post(address(submitted, "reveal"), follow=True).content.decode()
    assert "Reference <strong>Merkel cell carcinoma</strong>" in html
    assert "(histopathology)" in html
    assert "Go back" not in html
    submitted.refresh_from_db()
    assert submitted.sealed_at <= timezone.now()
    assert Reveal.objects.count() == 1


def test_htmx_gets_the_strip_alone(page, submitted) -> None:
    html = page.post(address(submitted, "reveal"), headers={"HX-Request": "true"}).content.decode()
    assert html.lstrip().startswith('<div id="previous"')
    assert "Merkel" in html and "Go back" not in html


def test_a_get_reveals_nothing(page, submitted) -> None:
    assert page.get(address(submitted, "reveal")).status_code == 405
    assert not Reveal.objects.exists()


def test_after_the_reveal_a_change_is_kept_as_informed(page, submitted) -> None:
    page.post(address(submitted, "reveal"))
    context = page.get(address(submitted)).context
    assert context["is_informed_change"]
    assert context["reference"].diagnosis == "Merkel cell carcinoma"
    answer, _ = correct(page, submitted)
    assert answer.url == reverse("rating:mine")
    assert Rating.objects.informed().get().supersedes == submitted
    assert Rating.objects.sealed_first().get() == submitted


def test_what_has_been_decided_is_not_changed(page, study, submitted) -> None:
    page.post(address(submitted, "reveal"))
    submitted.version.certifications.create(
        study=study, policy=study.policy, outcome="rejected", scores_used="first", evidence={"disputes": []}
    )
    answer = page.get(address(submitted), follow=True)
    assert answer.redirect_chain[-1][0] == reverse("rating:mine")
    assert "This narrative has been decided (rejected)" in answer.content.decode()


def test_a_dispute_needs_the_reveal_first(page, submitted) -> None:
    assert "You have not been shown the reference" in page.get(address(submitted, "dispute")).content.decode()
    answer = page.post(address(submitted, "dispute"), {"diagnosis": "Naevus", "confidence": "certain"})
    assert answer.status_code == 422
    assert not Dispute.objects.exists()


def test_a_dispute_is_raised_once_and_shown(page, submitted) -> None:
    page.post(address(submitted, "reveal"))
    form = {"diagnosis": "Naevus", "confidence": "certain"}
    assert page.post(address(submitted, "dispute"), form | {"confidence": ""}).status_code == 422
    html = page.post(address(submitted, "dispute"), form, follow=True).content.decode()
    assert "You hold it to be Naevus." in html
    assert page.post(address(submitted, "dispute"), form).status_code == 422
    assert Dispute.objects.get().reference == "Merkel cell carcinoma"


def test_the_empty_queue_still_offers_the_way_back(page, study, rater) -> None:
    make_queue(study, 1)
    rate(study, rater)
    html = following(page).content.decode()
    assert "That was the last one for now" in html and "Go back" in html


def test_nobody_elses_submission_is_found(client, study, submitted) -> None:
    client.force_login(make_rater(study))
    for name in ("assignment", "reveal", "dispute"):
        assert client.post(address(submitted, name)).status_code == 404
