"""The way to the next case: consent first, then a claim, and calm words when there is none."""

import pytest
from django.urls import reverse

from scoring.models import Assignment, Enrolment
from scoring.rubric import DIMENSION_KEYS
from scoring.services.studies import invite_rater, set_study_state, withdraw
from tests.factories import make_dermatologist, make_queue, make_rater, make_researcher, make_study

pytestmark = pytest.mark.django_db
STATEMENT = {
    "sheet_version": "1",
    "qualification": "specialist",
    "years_experience": "12",
    "country": "Norway",
    "languages": ["en"],
    "conflicts": "none",
    "accept": "1",
}


@pytest.fixture
def invited(client, study):
    person = make_dermatologist(country="Chile", qualification="resident")
    invite_rater(study=study, rater=person, actor=None)
    client.force_login(person)
    return person


def test_next_claims_a_case_and_redirects_to_its_own_address(page, study, rater) -> None:
    make_queue(study, 2)
    answer = page.get(reverse("rating:next"))
    mine = Assignment.objects.get(rater=rater)
    assert answer.url == reverse("rating:assignment", args=[mine.public_id])
    assert page.get(reverse("rating:next")).url == answer.url


def test_an_empty_queue_says_what_happens_next(page) -> None:
    answer = page.get(reverse("rating:next"))
    assert "New cases come when" in answer.content.decode()


def test_a_rater_without_a_study_is_told_whom_to_ask(client, db) -> None:
    client.force_login(make_dermatologist())
    assert "not in a study yet" in client.get(reverse("rating:next")).content.decode()


def test_a_paused_study_says_so(page, study) -> None:
    set_study_state(study=study, actor=None, state="paused")
    assert "is paused" in page.get(reverse("rating:next")).content.decode()
    assert "is paused" in page.get(reverse("rating:study", args=[study.public_id])).content.decode()


def test_two_running_studies_are_offered_as_a_choice(page, rater) -> None:
    other = make_study(title="The second question")
    invite_rater(study=other, rater=rater, actor=None)
    assert "The second question" in page.get(reverse("rating:next")).content.decode()


def test_an_invited_rater_reads_the_sheet_first_with_her_profile_filled_in(client, study, invited) -> None:
    answer = client.get(reverse("rating:next"), follow=True)
    assert answer.redirect_chain[-1][0] == reverse("rating:consent", args=[study.public_id])
    html = answer.content.decode()
    assert "information sheet, version 1" in html
    assert "Administrators see your scores." in html
    assert 'value="Chile"' in html


def test_accepting_stores_sheet_and_statement_and_opens_the_queue(client, study, invited) -> None:
    make_queue(study, 1)
    answer = client.post(reverse("rating:consent", args=[study.public_id]), STATEMENT, follow=True)
    enrolment = Enrolment.objects.get(rater=invited)
    assert enrolment.sheet.version == 1
    assert enrolment.qualification == "Board-certified dermatologist"
    assert answer.resolver_match.view_name == "rating:assignment"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sheet_version": "7"}, "information sheet has changed"),
        ({"languages": []}, "This field is required"),
        ({"years_experience": "99"}, "less than or equal to 80"),
    ],
)
def test_an_incomplete_statement_is_returned_with_what_was_entered(client, study, invited, changes, words) -> None:
    answer = client.post(reverse("rating:consent", args=[study.public_id]), STATEMENT | changes)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert 'value="Norway"' in answer.content.decode()
    assert Enrolment.objects.get(rater=invited).accepted_at is None


def test_declining_records_nothing(client, study, invited) -> None:
    answer = client.post(reverse("rating:consent", args=[study.public_id]), {"decline": "1"}, follow=True)
    assert "nothing was recorded" in answer.content.decode()
    assert Enrolment.objects.get(rater=invited).accepted_at is None


def test_withdrawing_is_asked_once_and_ends_the_queue(page, study, rater, held) -> None:
    address = reverse("rating:withdraw", args=[study.public_id])
    assert Enrolment.objects.get(rater=rater).withdrawn_at is None, page.get(address)
    page.post(address)
    assert Enrolment.objects.get(rater=rater).withdrawn_at is not None
    assert "You have withdrawn" in page.get(reverse("rating:next")).content.decode()
    assert page.get(reverse("rating:assignment", args=[held.public_id])).status_code == 404


def test_who_withdrew_may_take_part_again(page, study, rater) -> None:
    withdraw(study=study, rater=rater)
    page.post(reverse("rating:consent", args=[study.public_id]), STATEMENT)
    assert Enrolment.objects.get(rater=rater).may_rate


@pytest.mark.parametrize("name", ["rating:next", "rating:mine"])
def test_pages_ask_for_a_log_in_and_for_the_role(client, db, name) -> None:
    assert reverse("accounts:login") in client.get(reverse(name)).url
    client.force_login(make_researcher())
    assert client.get(reverse(name)).status_code == 403


def test_another_study_is_not_found(page) -> None:
    other = make_study()
    make_rater(other)
    for name in ("rating:study", "rating:consent", "rating:withdraw"):
        assert page.get(reverse(name, args=[other.public_id])).status_code == 404


def test_the_number_of_queries_to_the_next_case_does_not_grow(page, study, django_assert_max_num_queries) -> None:
    make_queue(study, 3)
    with django_assert_max_num_queries(30) as few:
        page.get(reverse("rating:next"), follow=True)
    make_queue(study, 12)
    with django_assert_max_num_queries(len(few.captured_queries)):
        page.get(reverse("rating:next"), follow=True)


def test_a_break_is_offered_beside_the_case_before_and_never_inside_the_scores(page, study, held, rater) -> None:
    study.break_minutes = 30
    study.save()
    address = reverse("rating:assignment", args=[held.public_id])
    entered = {**dict.fromkeys(DIMENSION_KEYS, "4"), "active_seconds": "1860"}
    sent = page.post(address, entered, headers={"X-Requested-With": "fetch"}).json()
    assert "31 minutes of work, 1 narrative" in sent["previous"]
    shown = page.get(reverse("rating:study", args=[study.public_id]), follow=True).content.decode()
    assert "a good moment for a short break" in shown and "{#" not in shown
    slot = Assignment.objects.get(rater=rater, state="claimed")
    entered["active_seconds"] = "60"
    address = reverse("rating:assignment", args=[slot.public_id])
    sent = page.post(address, entered, headers={"X-Requested-With": "fetch"}).json()
    assert "short break" not in sent["previous"]
