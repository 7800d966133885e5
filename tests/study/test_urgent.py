"""A possible missed malignancy: told at once, kept until answered, and the rater sees that it was received."""

import pytest
from django.core import mail
from django.urls import reverse

from scoring.models import AuditEvent, UrgentNotice
from tests.factories import (
    claim,
    make_adjudicator,
    make_administrator,
    make_dermatologist,
    make_queue,
    make_rater,
    make_researcher,
    make_study,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings):
    settings.EMAIL_HOST = "mail.example.org"


@pytest.fixture
def clinician():
    return make_adjudicator(email="who@example.org", first_name="Ines", last_name="Vogt")


@pytest.fixture
def held(clinician):
    study = make_study(clinician=clinician)
    make_queue(study, 1)
    return claim(study, make_rater(study))


def report(client, held, note="An asymmetric, changing mole."):
    client.force_login(held.rater)
    return client.post(reverse("rating:urgent", args=[held.public_id]), {"note": note}, follow=True)


def test_the_named_clinician_is_written_to_at_once(client, server, held) -> None:
    make_administrator(email="admin@example.org")
    page = report(client, held).content.decode()
    assert "Received" in page
    assert "has been written to" in page
    (sent,) = mail.outbox
    notice = UrgentNotice.objects.get()
    assert sent.to == ["who@example.org"]
    assert reverse("study:urgent_notice", args=[notice.public_id]) in sent.body
    assert held.case.code in sent.subject
    assert "mole" not in sent.body and held.case.diagnosis not in sent.body
    assert (notice.mailed_to, notice.mail_error) == (1, "")
    assert AuditEvent.objects.filter(action="urgent.reported").exists()


def test_reporting_twice_is_one_notice_and_one_mail(client, server, held) -> None:
    report(client, held)
    report(client, held)
    assert UrgentNotice.objects.count() == len(mail.outbox) == 1


def test_the_case_stays_in_the_queue(client, server, held) -> None:
    report(client, held)
    assert claim(held.study, make_rater(held.study)).case == held.case


def test_the_clinician_answers_and_the_rater_sees_it(client, server, held, clinician) -> None:
    report(client, held)
    notice = UrgentNotice.objects.get()
    address = reverse("study:urgent_notice", args=[notice.public_id])
    client.force_login(clinician)
    page = client.get(address)
    assert "An asymmetric, changing mole." in page.content.decode()
    for image in held.case.images.all():
        assert client.get(reverse("cases:image", args=[image.public_id])).status_code == 200
    assert client.post(address, {"answer": " "}).status_code == 422
    assert "kept with its time" in client.post(address, {"answer": "Called in."}, follow=True).content.decode()
    notice.refresh_from_db()
    assert (notice.answer, notice.answered_by) == ("Called in.", clinician)
    assert notice.answered_at is not None
    assert "already" in client.post(address, {"answer": "Again."}).content.decode()
    client.force_login(held.rater)
    seen = client.get(reverse("rating:urgent", args=[held.public_id])).content.decode()
    assert "Answered" in seen
    assert "Called in." not in seen


def test_administrators_see_it_until_it_is_answered(client, server, held) -> None:
    report(client, held)
    client.force_login(make_administrator())
    for address in (
        reverse("study:urgent"),
        reverse("study:list"),
        reverse("study:detail", args=[held.study.public_id]),
    ):
        assert (
            reverse("study:urgent_notice", args=[UrgentNotice.objects.get().public_id])
            in (page := client.get(address).content.decode())
            or reverse("study:urgent") in page
        )
    client.post(reverse("study:urgent_notice", args=[UrgentNotice.objects.get().public_id]), {"answer": "Seen."})
    assert "Waits for an answer" not in client.get(reverse("study:urgent")).content.decode()
    assert reverse("study:urgent") not in client.get(reverse("study:list")).content.decode()


@pytest.mark.parametrize("make", [make_dermatologist, make_researcher, make_adjudicator])
def test_others_see_none_of_it(client, server, held, make) -> None:
    report(client, held)
    client.force_login(make())
    assert client.get(reverse("study:urgent")).status_code == 403
    assert client.get(reverse("study:urgent_notice", args=[UrgentNotice.objects.get().public_id])).status_code == 404


def test_without_a_named_clinician_the_administrators_are_told(client, server) -> None:
    make_administrator(email="admin@example.org")
    study = make_study()
    make_queue(study, 1)
    report(client, claim(study, make_rater(study)))
    assert mail.outbox[0].to == ["admin@example.org"]


def test_without_a_mail_server_it_is_said_and_kept(client, held) -> None:
    page = report(client, held).content.decode()
    assert "No e-mail could be sent" in page
    assert not mail.outbox
    client.force_login(make_administrator())
    assert "EMAIL_HOST" in client.get(reverse("study:urgent")).content.decode()


def test_a_refused_mail_is_kept_and_can_be_sent_again(client, server, held, monkeypatch) -> None:
    from django.core.mail import EmailMessage

    def refuse(*_: object) -> None:
        raise ConnectionRefusedError("nobody there")

    with monkeypatch.context() as broken:
        broken.setattr(EmailMessage, "send", refuse)
        report(client, held)
    notice = UrgentNotice.objects.get()
    assert "nobody there" in notice.mail_error
    client.force_login(make_administrator())
    client.post(reverse("study:urgent_mail", args=[notice.public_id]))
    notice.refresh_from_db()
    assert (notice.mailed_to, notice.mail_error) == (1, "")
