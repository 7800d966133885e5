"""The page of imported references: flagged ones first, who may exclude, and what is frozen."""

import pytest
from django.urls import reverse

from scoring.models import DatasetVersion
from tests import factories
from tests.scoring.test_references import GOOD, reference

pytestmark = pytest.mark.django_db


@pytest.fixture
def source():
    source = factories.make_source(name="DermNet", redistribute="reference")
    for number in range(3):
        reference(source, number)
    reference(source, 3, "I'm sorry, but I can't help with that.")
    reference(source, 4, GOOD, diagnosis="acne-cystic-12")
    return source


def url(source) -> str:
    return reverse("modelhub:references", args=[source.public_id])


def test_flagged_references_come_first(client, source):
    client.force_login(factories.make_adjudicator())
    assert source.name in client.get(reverse("modelhub:reference_sources")).content.decode()
    shown = client.get(url(source)).content.decode()
    assert shown.index("Its label is a file name</span>") < shown.index("Refuses to answer</span>")
    assert shown.index("can&#x27;t help") < shown.index("0 &lt;think&gt;")
    assert shown.count('name="texts"') == 2
    assert "References: 5. Flagged: 2. Excluded from the newest version: 0." in shown


def test_an_adjudicator_freezes_a_version_without_what_she_ticked(client, source):
    judge, study = factories.make_adjudicator(), factories.make_study()
    client.force_login(judge)
    sent = {"study": study.public_id, "kinds": ["stub"], "reason": "A file name is no diagnosis."}
    answer = client.post(url(source), sent, follow=True)
    dataset = DatasetVersion.objects.get()
    assert (dataset.item_count, dataset.exclusions.get().excluded_by) == (4, judge)
    shown = answer.content.decode()
    assert "DermBench v1 is frozen: 4 references, 1 excluded." in shown and "A file name is no diagnosis." in shown
    client.force_login(factories.make_researcher())
    page = client.get(reverse("modelhub:dataset_detail", args=[dataset.public_id])).content.decode()
    assert "As published, not certified" in page and "A file name is no diagnosis." in page


def test_a_missing_reason_is_said_on_the_form_and_nothing_is_frozen(client, source):
    client.force_login(factories.make_administrator())
    study = factories.make_study()
    answer = client.post(url(source), {"study": study.public_id, "kinds": ["refusal"], "reason": ""})
    assert answer.status_code == 422 and "Say why they are left out" in answer.content.decode()
    assert not DatasetVersion.objects.exists()


def test_researchers_look_and_dermatologists_stay_out(client, source):
    client.force_login(factories.make_researcher())
    shown = client.get(url(source))
    assert shown.status_code == 200 and "Freeze a benchmark version" not in shown.content.decode()
    assert client.post(url(source), {}).status_code == 403
    client.force_login(factories.make_dermatologist())
    assert client.get(url(source)).status_code == 403
    assert client.get(reverse("modelhub:reference_sources")).status_code == 403


def test_the_page_asks_the_same_number_of_questions_however_many_there_are(
    client, source, django_assert_max_num_queries
):
    client.force_login(factories.make_adjudicator())
    client.get(url(source))
    with django_assert_max_num_queries(25) as few:
        client.get(url(source))
    most = len(few.captured_queries)
    for number in range(10, 16):
        reference(source, number, "I'm sorry, I can't help.")
    client.get(url(source))  # who sees a reference for the first time is noted
    with django_assert_max_num_queries(most):
        client.get(url(source))
