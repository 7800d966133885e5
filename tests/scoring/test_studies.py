"""Studies: locked at the start, amended with a reason, consented to before the first case."""

import pytest
from django.core.exceptions import ValidationError

from scoring.models import Enrolment
from scoring.services.amendments import amend_study
from scoring.services.studies import accept_sheet, add_sheet, invite_rater, start_study, withdraw
from tests.factories import make_administrator, make_dermatologist, make_rater, make_study

pytestmark = pytest.mark.django_db

STATEMENT = {
    "qualification": "Dermatologist",
    "years_experience": 3,
    "country": "Peru",
    "conflicts": "",
    "languages": ["en"],
}


def test_starting_dates_and_hashes_the_protocol() -> None:
    study = make_study()
    assert study.started_at is not None and len(study.protocol_hash) == 64


def test_starting_needs_the_whole_protocol() -> None:
    study = make_study(started=False)
    study.ethics = " "
    study.save()
    with pytest.raises(ValidationError, match="ethics"):
        start_study(study=study, actor=None)


def test_an_amendment_keeps_both_protocols() -> None:
    study = make_study()
    before = study.protocol_hash
    amendment = amend_study(
        study=study, actor=make_administrator(), reason="Typo.", changes={"question": "A better question?"}
    )
    study.refresh_from_db()
    assert amendment.before["question"] != amendment.after["question"] == study.question
    assert study.protocol_hash == amendment.protocol_hash != before


def test_the_overlap_cannot_be_amended() -> None:
    with pytest.raises(ValidationError, match="overlap"):
        amend_study(study=make_study(), actor=make_administrator(), reason="More.", changes={"overlap": 5})


def test_consent_names_the_sheet_and_the_statement() -> None:
    enrolment = Enrolment.objects.get(rater=make_rater(make_study()))
    assert enrolment.may_rate and enrolment.sheet is not None and enrolment.years_experience == 7


def test_consent_to_an_older_sheet_is_refused() -> None:
    study, rater = make_study(), make_dermatologist()
    invite_rater(study=study, rater=rater, actor=None)
    add_sheet(study=study, text="New words.", actor=None)
    with pytest.raises(ValidationError, match="has changed"):
        accept_sheet(study=study, rater=rater, sheet_version=1, **STATEMENT)


def test_consent_asks_for_every_statement() -> None:
    study, rater = make_study(), make_dermatologist()
    invite_rater(study=study, rater=rater, actor=None)
    with pytest.raises(ValidationError) as caught:
        accept_sheet(
            study=study, rater=rater, sheet_version=1, **(STATEMENT | {"years_experience": None, "country": ""})
        )
    assert set(caught.value.message_dict) == {"years_experience", "country"}


def test_a_withdrawn_rater_may_not_rate() -> None:
    study = make_study()
    rater = make_rater(study)
    withdraw(study=study, rater=rater)
    assert not Enrolment.objects.get(rater=rater).may_rate
