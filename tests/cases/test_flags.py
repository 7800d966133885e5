"""An open flag keeps a case out of the queue until an administrator closes it with words."""

import pytest
from django.urls import reverse

from scoring.models import AuditEvent, CaseFlag
from scoring.services.queue import claim_next, skip_assignment
from tests.factories import (
    claim,
    make_administrator,
    make_case,
    make_dermatologist,
    make_queue,
    make_rater,
    make_researcher,
    make_study,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def flagged():
    study, case = make_study(), make_case()
    make_queue(study, 1, case=case)
    rater = make_rater(study)
    skip_assignment(assignment=claim(study, rater), rater=rater, reason="identifying", note="A tattoo.")
    return study, CaseFlag.objects.get(case=case)


def close(client, flag, words="Cropped at the source."):
    address = reverse("cases:flag_resolve", args=[flag.case.public_id, flag.pk])
    return client.post(address, {"resolution": words}, follow=True)


def test_the_administrator_sees_it_and_closes_it(client, flagged):
    study, flag = flagged
    client.force_login(make_administrator())
    listed = client.get(reverse("cases:list"), {"flagged": "open"})
    assert flag.case.code in listed.content.decode()
    assert "A tattoo." in client.get(reverse("cases:detail", args=[flag.case.public_id])).content.decode()
    assert claim_next(study=study, rater=make_rater(study)) is None
    assert "Cropped at the source." in close(client, flag).content.decode()
    assert claim_next(study=study, rater=make_rater(study)) is not None
    assert AuditEvent.objects.filter(action="case.flag_resolved").exists()
    listed = client.get(reverse("cases:list"), {"flagged": "open"})
    assert flag.case.code not in listed.content.decode()


def test_it_needs_words_and_is_closed_once(client, flagged):
    client.force_login(make_administrator())
    assert "Say what was done" in close(client, flagged[1], " ").content.decode()
    close(client, flagged[1])
    assert "closed already" in close(client, flagged[1], "Again.").content.decode()


@pytest.mark.parametrize("make", [make_researcher, make_dermatologist])
def test_others_cannot_close_it(client, flagged, make):
    client.force_login(make())
    assert close(client, flagged[1]).status_code == 403
    assert CaseFlag.objects.get().resolved_at is None
