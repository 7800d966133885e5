"""Run pages: live progress, what a run of each kind shows, cancel and retry."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from modelhub.models import Generation, Run, Training
from scoring.models import Reveal
from tests.factories import make_administrator, make_case, make_researcher
from tests.modelhub import hub_rows

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def admin(client):
    user = make_administrator()
    client.force_login(user)
    return user


def page(client, run, **extra):
    return client.get(reverse("modelhub:run_detail", args=[run.public_id]), **extra)


def test_an_active_run_asks_again_every_two_seconds(client, admin):
    html = page(client, hub_rows.make_run(progress_total=10, progress_done=4)).content.decode()
    assert 'hx-trigger="every 2s"' in html


@pytest.mark.parametrize("state", ["succeeded", "cancelled"])
def test_an_ended_run_stops_asking(client, admin, state):
    html = page(client, hub_rows.make_run(state=state), **HTMX).content.decode()
    assert "hx-get" not in html and 'id="run-live"' in html


def test_htmx_gets_the_part_and_others_the_page(client, admin):
    run = hub_rows.make_run()
    assert b"<html" not in page(client, run, **HTMX).content
    assert b"<html" in page(client, run).content


def test_an_error_is_shown_in_its_own_words(client, admin):
    run = hub_rows.make_run(state="failed", error="Use fewer records & <try> again.")
    assert "Use fewer records &amp; &lt;try&gt; again." in page(client, run).content.decode()


def test_progress_shows_figures(client, admin):
    run = hub_rows.make_run(
        state="running",
        token="6f1c7f5e-9d6c-4a4e-8a57-1c1f0f0e7d11",
        lease_expires=timezone.now(),
        progress_done=3,
        progress_total=8,
        message="3 of 8 narratives",
    )
    html = page(client, run).content.decode()
    assert 'value="3"' in html and 'max="8"' in html and "3 of 8 narratives" in html


def test_generated_texts_are_listed_with_their_failures(client, admin):
    run, model = hub_rows.make_run(state="succeeded"), hub_rows.make_model()
    done = hub_rows.make_generation(run, model, make_case(), hub_rows.RIGHT_TEXT)
    failed = hub_rows.make_generation(
        run, model, make_case(), state=Generation.State.FAILED, error="Its image file is missing."
    )
    html = page(client, run).content.decode()
    assert done.version.diagnosis in html and "Its image file is missing." in html
    assert done.case.code in html and failed.case.code in html
    assert reverse("narratives:detail", args=[done.version.narrative.public_id]) in html


def test_a_long_run_costs_no_more_queries(client, admin, django_assert_max_num_queries):
    run, model = hub_rows.make_run(state="succeeded"), hub_rows.make_model()
    for _ in range(20):
        hub_rows.make_generation(run, model, make_case(image=False), hub_rows.RIGHT_TEXT)
    page(client, run)
    with django_assert_max_num_queries(10):
        page(client, run)


def test_who_opens_a_run_knows_the_references_that_stand_beside_its_texts(client, admin):
    run, model = hub_rows.make_run(state="succeeded"), hub_rows.make_model()
    generation = hub_rows.make_generation(run, model, make_case(), hub_rows.RIGHT_TEXT)
    assert generation.case.diagnosis in page(client, run).content.decode()
    page(client, run)
    assert list(Reveal.objects.values_list("rater", "case")) == [(admin.pk, generation.case.pk)]


def test_a_training_shows_its_curve_twice(client, admin):
    dataset = hub_rows.make_dataset(actor=admin)
    run = hub_rows.make_run(kind=Run.Kind.TRAINING, state="succeeded")
    losses = [{"total": 4.0 - n, "answer": 4.0 - n, "skin": None} for n in (1, 2, 3)]
    curve = [
        {"step": n, "steps": 3, "epoch": n / 3, "lr": 1e-4, "losses": loss} for n, loss in enumerate(losses, start=1)
    ]
    base, adapter = hub_rows.make_model(), hub_rows.make_model()
    Training.objects.create(
        run=run, base=base, dataset=dataset, settings={"rank": 16}, curve=curve, metrics={"steps": 3}, result=adapter
    )
    html = page(client, run).content.decode()
    assert 'points="0.00,' in html and "3.0000" in html and "1.000 at the last step" in html
    assert "Skin tone loss" not in html and "Answer loss" in html and "Weighted total" not in html
    assert reverse("modelhub:model_detail", args=[adapter.public_id]) in html


def test_an_export_leads_to_its_file(client, admin):
    artifact = hub_rows.make_artifact(hub_rows.make_dataset(actor=admin))
    html = page(client, artifact.run).content.decode()
    assert reverse("modelhub:artifact", args=[artifact.public_id]) in html and artifact.sha256 in html


def test_an_import_says_what_was_refused_and_why(client, admin):
    report = {"cases imported": 7, "refused": 1, "problems": [{"name": "row 3", "reason": "it has no diagnosis"}]}
    run = hub_rows.make_run(kind=Run.Kind.IMPORT, state="succeeded", plan={"report": report})
    html = page(client, run).content.decode()
    assert "row 3" in html and "it has no diagnosis" in html and "Cases imported" in html


def test_cancelling_a_waiting_run(client, admin):
    run = hub_rows.make_run()
    response = client.post(reverse("modelhub:run_cancel", args=[run.public_id]), follow=True)
    run.refresh_from_db()
    assert run.state == Run.State.CANCELLED and "The run is cancelled." in response.content.decode()


def test_cancelling_what_has_ended_says_so(client, admin):
    run = hub_rows.make_run(state="succeeded")
    response = client.post(reverse("modelhub:run_cancel", args=[run.public_id]), follow=True)
    assert "This run has already ended." in response.content.decode()


def test_trying_a_failed_run_again(client, admin):
    run = hub_rows.make_run(state="failed", error="The worker stopped.")
    client.post(reverse("modelhub:run_retry", args=[run.public_id]))
    run.refresh_from_db()
    assert run.state == Run.State.QUEUED


def test_researchers_see_no_buttons(client):
    client.force_login(make_researcher())
    html = page(client, hub_rows.make_run()).content.decode()
    assert "Cancel" not in html


def test_the_list_is_filtered(client, admin):
    hub_rows.make_run(title="A training", kind=Run.Kind.TRAINING, state="succeeded")
    hub_rows.make_run(title="A generation")
    html = client.get(reverse("modelhub:run_list"), {"kind": "training"}).content.decode()
    assert "A training" in html and "A generation" not in html
    html = client.get(reverse("modelhub:run_list"), {"state": "active"}).content.decode()
    assert "A generation" in html and "A training" not in html


def test_a_nonsense_filter_shows_everything(client, admin):
    hub_rows.make_run(title="A generation")
    assert b"A generation" in client.get(reverse("modelhub:run_list"), {"kind": "x", "state": "y", "page": "z"}).content


def test_an_empty_list_says_what_to_do(client, admin):
    assert reverse("modelhub:generate") in client.get(reverse("modelhub:run_list")).content.decode()


def test_the_list_costs_the_same_however_long(client, admin):
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            client.get(reverse("modelhub:run_list"))
        return len(seen)

    hub_rows.make_run(created_by=admin)
    few = queries()
    for _ in range(15):
        hub_rows.make_run(created_by=admin)
    assert queries() == few
