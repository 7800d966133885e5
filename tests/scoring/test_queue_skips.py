"""Where a skip goes: a flag that pulls the case at once, another rater, an administrator."""

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from scoring.models import Assignment, CaseFlag, RatingDraft, Skip
from scoring.services.flags import resolve_flag
from scoring.services.queue import acknowledge_skip, claim_next, hold_next, renew_lease, skip_assignment
from scoring.services.ratings import submit_rating
from tests.factories import claim, make_administrator, make_case, make_queue, make_rater, make_study, scores

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("reason", ["bad_image", "not_skin", "identifying"])
def test_a_flag_pulls_the_case_from_open_pages_too(client, reason) -> None:
    study, case = make_study(overlap=3), make_case()
    make_queue(study, 1, case=case)
    warner, busy, ahead = make_rater(study), make_rater(study), make_rater(study)
    hers, theirs, held = claim(study, warner), claim(study, busy), hold_next(study=study, rater=ahead)
    image = reverse("cases:image", args=[case.images.get().public_id])
    client.force_login(busy)
    assert client.get(image).status_code == 200
    skip_assignment(assignment=hers, rater=warner, reason=reason)
    assert CaseFlag.objects.get().kind == reason
    assert client.get(image).status_code == 404
    assert not renew_lease(assignment=theirs, rater=busy)
    with pytest.raises(ValidationError, match="no longer"):
        submit_rating(assignment=theirs, rater=busy, client_uuid=theirs.public_id, scores=scores())
    assert Assignment.objects.filter(state="open").count() == 3
    assert held is not None and claim_next(study=study, rater=ahead) is None
    resolve_flag(flag=CaseFlag.objects.get(), actor=make_administrator(), resolution="Cropped.")
    assert claim(study, busy).case == case
    assert claim_next(study=study, rater=warner) is None


def test_what_others_had_entered_survives_a_flag() -> None:
    study, case = make_study(), make_case()
    make_queue(study, 1, case=case)
    warner, busy = make_rater(study), make_rater(study)
    hers, theirs = claim(study, warner), claim(study, busy)
    RatingDraft.objects.create(assignment=theirs, rater=busy, content={"fields": {"accuracy": "4"}})
    skip_assignment(assignment=hers, rater=warner, reason="bad_image")
    resolve_flag(flag=CaseFlag.objects.get(), actor=make_administrator(), resolution="It is fine.")
    assert RatingDraft.objects.get(assignment=claim(study, busy)).content == {"fields": {"accuracy": "4"}}


def test_outside_her_expertise_goes_to_another_rater_without_a_flag() -> None:
    study = make_study(overlap=1)
    make_queue(study, 1)
    rater = make_rater(study)
    slot = claim(study, rater)
    skip_assignment(assignment=slot, rater=rater, reason="outside_expertise")
    assert not CaseFlag.objects.exists()
    assert claim(study, make_rater(study)) == slot


def test_another_reason_waits_for_an_administrator() -> None:
    study = make_study()
    make_queue(study, 1)
    rater = make_rater(study)
    skip = skip_assignment(assignment=claim(study, rater), rater=rater, reason="other", note=" I know her. ")
    assert (skip.note, skip.seen_at) == ("I know her.", None)
    seen = acknowledge_skip(skip=skip, actor=make_administrator())
    assert seen.seen_at is not None
    with pytest.raises(ValidationError, match="already"):
        acknowledge_skip(skip=Skip.objects.get(), actor=make_administrator())


def test_a_slot_that_is_not_hers_cannot_be_skipped() -> None:
    study = make_study()
    make_queue(study, 1)
    slot = claim(study, make_rater(study))
    with pytest.raises(ValidationError, match="no longer"):
        skip_assignment(assignment=slot, rater=make_rater(study), reason="bad_image")
    assert not Skip.objects.exists() and not CaseFlag.objects.exists()
