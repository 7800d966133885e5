"""Studies through HTTP: drafting, starting, amending, raters, information sheets."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from scoring.digest import content_hash
from scoring.models import Enrolment, Study
from scoring.pseudonym import pseudonym
from scoring.services.studies import invite_rater, withdraw
from tests.factories import (
    make_adjudicator,
    make_administrator,
    make_dermatologist,
    make_rater,
    make_researcher,
    make_study,
)

pytestmark = pytest.mark.django_db
PROTOCOL = {
    "title": "Does correcting help?",
    "question": "Is the adapter better?",
    "arms": "as written\r\n\r\n as corrected ",
    "inclusion": "All cases.",
    "exclusion_rules": "None.",
    "planned_analysis": "Paired difference.",
    "ethics": "Drawings only.",
    "overlap": "3",
    "reveal": "after_submit",
    "overlap_percent": "0",
    "from_scratch_percent": "0",
    "strategy": "random",
    "minimum_gap": "10",
    "seed": "7",
    "lease_minutes": "30",
    "break_minutes": "45",
    "gold_percent": "0",
    "repeat_percent": "0",
    "threshold_minimum_mean": "4",
    "threshold_safety_veto": "2",
    "threshold_dispute_range": "3",
}


@pytest.fixture
def administrator(client):
    user = make_administrator()
    client.force_login(user)
    return user


def url(name: str, study: Study, *more: str) -> str:
    return reverse(f"study:{name}", args=[study.public_id, *more])


@pytest.mark.parametrize(
    ("make", "status"),
    [(make_administrator, 200), (make_researcher, 200), (make_dermatologist, 403), (make_adjudicator, 403)],
)
def test_staff_read(client, make, status) -> None:
    study = make_study()
    client.force_login(make())
    assert client.get(reverse("study:list")).status_code == status
    assert client.get(url("detail", study)).status_code == status


@pytest.mark.parametrize("make", [make_researcher, make_dermatologist, make_adjudicator])
def test_only_administrators_change(client, make) -> None:
    study = make_study(started=False)
    client.force_login(make())
    for address in (
        reverse("study:create"),
        *(url(name, study) for name in ("edit", "amend", "start", "invite", "sheet")),
        url("state", study, "paused"),
    ):
        assert client.post(address).status_code == 403
    study.refresh_from_db()
    assert study.state == "draft"


def test_a_study_is_drafted_edited_and_started(client, administrator) -> None:
    assert client.post(reverse("study:create"), PROTOCOL).status_code == 302
    study = Study.objects.get()
    assert study.arms == ["as written", "as corrected"]
    assert study.policy.rule.overlap == 3
    client.post(url("edit", study), PROTOCOL | {"overlap": "2", "title": "New title"})
    study.refresh_from_db()
    assert (study.title, study.overlap, study.policy.rule.overlap) == ("New title", 2, 2)
    refused = client.post(url("start", study))
    assert refused.status_code == 422
    assert "Write the information sheet" in refused.content.decode()
    client.post(url("sheet", study), {"text": "You score narratives."})
    assert client.get(url("start", study)).status_code == 200
    client.post(url("start", study))
    study.refresh_from_db()
    assert study.state == "running"
    assert study.started_by == administrator
    assert study.protocol_hash == content_hash(study.protocol())


def test_wrong_entries_are_named_at_their_field(client, administrator) -> None:
    answer = client.post(reverse("study:create"), PROTOCOL | {"overlap": "0", "title": ""})
    assert answer.status_code == 422
    assert "title" in answer.context["form"].errors
    answer = client.post(reverse("study:create"), PROTOCOL | {"overlap": "0"})
    assert answer.context["form"].errors["overlap"] == ["A policy needs an overlap of at least one rating."]
    answer = client.post(reverse("study:create"), PROTOCOL | {"lease_minutes": "0"})
    assert "lease_minutes" in answer.context["form"].errors
    assert not Study.objects.exists()


def test_a_started_study_is_amended_with_a_reason(client, administrator) -> None:
    study = make_study()
    assert client.post(url("edit", study), PROTOCOL).status_code == 422
    written = ("title", "question", "inclusion", "exclusion_rules", "planned_analysis", "ethics", "reveal")
    fields = PROTOCOL | {name: getattr(study, name) for name in written}
    fields |= {"inclusion": "Every case but drawings."}
    assert client.post(url("amend", study), fields).status_code == 422
    assert client.post(url("amend", study), fields | {"reason": "Reviewers asked."}).status_code == 302
    amended = Study.objects.get()
    assert amended.inclusion == "Every case but drawings."
    assert amended.protocol_hash != study.protocol_hash
    page = client.get(url("detail", study)).content.decode()
    assert "Reviewers asked." in page
    assert "<ins>" in page
    again = client.post(url("amend", study), fields | {"reason": "Again."})
    assert "changes nothing" in again.content.decode()


def test_it_is_paused_resumed_and_closed(client, administrator) -> None:
    study = make_study()
    for state in ("paused", "running", "closed"):
        assert client.get(url("state", study, state)).status_code == 200
        assert Study.objects.get().state != state
        assert client.post(url("state", study, state)).status_code == 302
        assert Study.objects.get().state == state
    assert client.post(url("state", study, "running")).status_code == 422
    client.post(url("state", study, "draft"))
    assert Study.objects.get().state == "closed"


def test_raters_are_invited_once(client, administrator) -> None:
    study = make_study()
    rater = make_dermatologist()
    outsider = make_researcher()
    client.post(url("invite", study), {"rater": str(rater.public_id)})
    client.post(url("invite", study), {"rater": str(rater.public_id)})
    client.post(url("invite", study), {"rater": str(outsider.public_id)})
    assert [e.rater for e in Enrolment.objects.all()] == [rater]


def test_consent_states_and_who_sees_names(client, administrator) -> None:
    study = make_study()
    consented = make_rater(study, username="greta.holm", first_name="Greta", last_name="Holm")
    gone = make_rater(study)
    withdraw(study=study, rater=gone)
    invite_rater(study=study, rater=make_dermatologist(), actor=administrator)
    page = client.get(url("detail", study))
    assert [row["state"][0] for row in page.context["raters"]] == ["Consented", "Withdrawn", "Invited"]
    assert "Greta Holm" in page.content.decode()
    client.force_login(make_researcher())
    page = client.get(url("detail", study)).content.decode()
    assert "Holm" not in page
    assert "greta" not in page
    assert pseudonym(study.public_id, consented.public_id) in page


def test_a_new_sheet_is_a_new_version(client, administrator) -> None:
    study = make_study()
    rater = make_rater(study)
    client.post(url("sheet", study), {"text": "Second wording."})
    assert [s.version for s in study.sheets.all()] == [2, 1]
    assert Enrolment.objects.get(rater=rater).sheet.version == 1
    answer = client.post(url("sheet", study), {"text": "Second wording."})
    assert answer.status_code == 422
    assert "Version 2" in client.get(url("detail", study)).content.decode()


def test_queries_do_not_grow(client, administrator) -> None:
    def count(address: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address).status_code == 200
        return len(queries)

    study = make_study()
    make_rater(study)
    make_dermatologist()
    few, few_raters = count(reverse("study:list")), count(url("detail", study))
    for _ in range(3):
        make_rater(study)
        make_study()
    assert (count(reverse("study:list")), count(url("detail", study))) == (few, few_raters)
