"""The policy page: a preview that writes nothing, and an amendment by administrators only."""

import pytest
from django.urls import reverse

from bench.agreement_data import make_people, make_texts, store_ratings
from scoring.models import Certification
from scoring.services.policies import recertify_study
from tests.factories import make_administrator, make_researcher, make_study

pytestmark = pytest.mark.django_db
LOWER = {"minimum_mean": "3.5", "safety_veto": "2", "dispute_range": "3", "diagnosis_veto": "on"}


@pytest.fixture
def study():
    study = make_study(overlap=2)
    people, versions = make_people(2), make_texts(3)
    levels = [(5, 5), (4, 3), (3, 3)]
    given = [(v, p, [pair[i]] * 6) for v, pair in zip(versions, levels, strict=True) for i, p in enumerate(people)]
    store_ratings(study, given)
    recertify_study(study=study)
    return study


def outcomes() -> list[str]:
    return sorted(Certification.objects.filter(is_current=True).values_list("outcome", flat=True))


def address(study) -> str:
    return reverse("study:policy", args=[study.public_id])


def test_the_preview_names_what_changes_and_writes_nothing(client, study) -> None:
    client.force_login(make_researcher())
    text = client.get(address(study), LOWER).content.decode()
    assert "This policy would certify 2 and send 0 to adjudication; 1 outcome changes." in text
    assert text.count("every mean is at least 3.5 over 2 ratings") == 1
    assert "Put it in force" not in text
    assert outcomes() == ["certified", "revision", "revision"]


def test_an_administrator_puts_it_in_force_with_a_reason(client, study) -> None:
    client.force_login(make_administrator())
    assert "Put it in force" in client.get(address(study), LOWER).content.decode()
    refused = client.post(address(study), LOWER | {"reason": " "})
    assert refused.status_code == 422
    assert "Give the reason for the amendment." in refused.content.decode()
    assert outcomes() == ["certified", "revision", "revision"]
    done = client.post(address(study), LOWER | {"reason": "The pilot shows that 3.5 is safe."}, follow=True)
    assert "the new policy is in force" in done.content.decode()
    assert outcomes() == ["certified", "certified", "revision"]
    assert "The pilot shows that 3.5 is safe." in done.content.decode()
    study.refresh_from_db()
    assert study.policy.rule.minimum_mean == 3.5
    assert study.amendments.get().after["policy"]["minimum_mean"] == 3.5


def test_a_researcher_cannot_put_it_in_force(client, study) -> None:
    client.force_login(make_researcher())
    assert client.post(address(study), LOWER | {"reason": "x"}).status_code == 403
    assert not study.amendments.exists()


def test_thresholds_off_the_scale_are_refused_at_their_field(client, study) -> None:
    client.force_login(make_administrator())
    response = client.get(address(study), LOWER | {"minimum_mean": "7"})
    assert response.status_code == 422
    assert "What it would change" not in response.content.decode()


def test_the_same_thresholds_change_nothing(client, study) -> None:
    client.force_login(make_administrator())
    same = {"minimum_mean": "4", "safety_veto": "2", "dispute_range": "3", "diagnosis_veto": "on"}
    text = client.get(address(study), same).content.decode()
    assert "These are the thresholds in force." in text
    refused = client.post(address(study), same | {"reason": "x"})
    assert (refused.status_code, "changes nothing" in refused.content.decode()) == (422, True)
