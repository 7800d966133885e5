"""Drafting pages: nothing starts before the plan was seen; a run shows its counts and flags, a draft all its stages."""

import uuid
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from modelhub.jobs import loaded_models
from modelhub.models import Draft, Run
from scoring.models import NarrativeVersion
from tests.chat_server import chat_server
from tests.factories import claim, make_administrator, make_case, make_rater, make_researcher, make_study
from tests.modelhub import hub_rows
from tests.modelhub.drafters import CAPTION, NARRATIVE, ask, drafter, endpoint, finished

pytestmark = pytest.mark.django_db
URL = "/hub/runs/draft/"
LEAKY = "A plaque of seborrheic keratosis."


@pytest.fixture
def admin(client):
    user = make_administrator()
    client.force_login(user)
    return user


@pytest.fixture
def server():
    with chat_server() as running:
        running.answer = drafter()
        yield running
    loaded_models.release_models()


def fields(model: Any, **changes: Any) -> dict[str, Any]:
    return {"model": model.public_id, "conditioning": "none", "with_image": "on", "retry_leaks": "on", **changes}


def make_model(**changes: Any) -> Any:
    return hub_rows.make_model(synthetic=False, **changes)


def words(response: Any) -> str:
    return " ".join(unescape(response.content.decode()).split())


def page(client, draft: Draft) -> str:
    return words(client.get(reverse("modelhub:draft_detail", args=[draft.public_id])))


def test_checking_shows_the_plan_and_writes_nothing(client, admin):
    make_case(), make_case(split="evaluation")
    chosen = fields(make_model(name="Model A"), check="1", conditioning="label_at_reasoning")
    html = words(client.get(URL, chosen))
    assert "Draft 2 narratives" in html and "Model A" in html
    assert "Conditioned on the label" in html and "1</b> of these cases is held out for evaluation" in html
    assert "6 to 10 answers are asked for" in html and "DermCoT reasoning with the label" in html
    assert not Run.objects.exists() and not Draft.objects.exists()
    assert "never told the reference diagnosis" in words(client.get(URL, chosen | {"conditioning": "none"}))


def test_starting_makes_the_run_that_was_shown(client, admin):
    case, model = make_case(), make_model()
    response = client.post(URL, fields(model, promised="1", seed="7", budget_tokens="5000"), follow=True)
    run = Run.objects.get()
    assert response.redirect_chain[-1][0] == reverse("modelhub:run_detail", args=[run.public_id])
    asked = run.drafting
    assert (asked.conditioning, asked.retry_leaks, asked.budget_tokens) == ("none", True, 5000)
    assert asked.settings["seed"] == 7 and [draft.case for draft in asked.drafts.all()] == [case]
    assert "= <b>1</b> expected" in words(response) and "DermCoT caption after a leak" in words(response)


def test_the_same_settings_again_start_nothing(client, admin):
    make_case()
    chosen = fields(make_model())
    client.post(URL, chosen)
    assert "have drafted every one of these cases already" in words(client.get(URL, chosen | {"check": "1"}))
    assert client.post(URL, chosen).status_code == 422
    assert Run.objects.count() == 1


def test_cases_that_changed_since_are_shown_again(client, admin):
    make_case(), make_case()
    html = words(client.post(URL, fields(make_model(), promised="1")))
    assert "have changed since you looked" in html and not Run.objects.exists()


def test_a_model_that_knows_one_prompt_is_refused_beside_its_field(client, admin):
    make_case()
    chosen = fields(hub_rows.make_model(synthetic=True))
    assert "knows one prompt and drawn lesions only" in words(client.get(URL, chosen | {"check": "1"}))
    assert client.post(URL, chosen).status_code == 422 and not Run.objects.exists()


@pytest.mark.parametrize(("name", "value"), [("conditioning", "x"), ("budget_tokens", "0"), ("temperature", "9")])
def test_nonsense_is_said_beside_its_field(client, admin, name, value):
    make_case()
    assert 'class="field-error"' in client.get(URL, fields(make_model(), check="1") | {name: value}).content.decode()
    response = client.post(URL, fields(make_model()) | {name: value})
    assert response.status_code == 422 and not Run.objects.exists()


def test_a_draft_shows_its_stages_and_what_asked_for_them(client, admin, server):
    study = make_study(actor=admin)
    run = finished(ask(endpoint(server.url), [make_case()], conditioning="label_at_reasoning", study=study))
    draft = run.drafting.drafts.get()
    html = page(client, draft)
    for shown in (CAPTION, "Image Findings A single oval", "1 · Caption", "3 · Narrative", "Conditioned on the label"):
        assert shown in html
    assert "Asked with DermCoT caption 1" in html and "is known to you: seborrhoeic keratosis" in html
    run_page = words(client.get(reverse("modelhub:run_detail", args=[run.public_id])))
    assert (
        "<b>1</b> done + <b>0</b> held for a leak + <b>0</b> failed + <b>0</b> pending = <b>1</b> expected" in run_page
    )
    assert reverse("modelhub:draft_detail", args=[draft.public_id]) in run_page
    address = reverse("narratives:detail", args=[draft.version.narrative.public_id])
    assert address in html and "told the label" in words(client.get(address))


def test_a_held_draft_is_let_pass_on_its_page(client, admin, server):
    server.answer = drafter(caption=LEAKY, narrative=NARRATIVE)
    run = finished(ask(endpoint(server.url), [make_case()], retry_leaks=False))
    draft = run.drafting.drafts.get()
    html = page(client, draft)
    assert "names the reference diagnosis: <mark>seborrheic keratosis</mark>" in html and "Let this text pass" in html
    run_page = words(client.get(reverse("modelhub:run_detail", args=[run.public_id])))
    assert '<b class="needs-attention">1</b> held for a leak' in run_page
    assert 'The caption names the reference diagnosis</dt><dd class="num">1 answer<' in run_page
    url = reverse("modelhub:draft_pass", args=[draft.public_id])
    assert "why this text may pass" in words(client.post(url, {"note": ""}, follow=True))
    assert "goes on with it" in words(client.post(url, {"note": "A word of morphology."}, follow=True))
    finished(run)
    assert "let it pass" in page(client, draft) and "A word of morphology." in page(client, draft)
    assert NarrativeVersion.objects.count() == 1


def test_a_long_run_and_a_draft_cost_no_more_queries(client, admin, server):
    def queries(address: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert client.get(address).status_code == 200
        return len(seen)

    server.answer = drafter(caption=lambda asked: LEAKY if "thrown away" not in asked.prompt else CAPTION)
    model = endpoint(server.url)
    one, many = (finished(ask(model, [make_case() for _ in range(count)])) for count in (1, 6))
    few = queries(reverse("modelhub:run_detail", args=[one.public_id]))
    assert queries(reverse("modelhub:run_detail", args=[many.public_id])) == few
    with_leak = queries(reverse("modelhub:draft_detail", args=[many.drafting.drafts.first().public_id]))
    assert with_leak <= 9


def test_researchers_look_and_do_not_act(client, server):
    server.answer = drafter(caption=LEAKY)
    run = finished(ask(endpoint(server.url), [make_case()], retry_leaks=False))
    draft = run.drafting.drafts.get()
    client.force_login(make_researcher())
    assert "Held for a leak" in page(client, draft) and "Let this text pass" not in page(client, draft)
    assert client.post(reverse("modelhub:draft_pass", args=[draft.public_id]), {"note": "x"}).status_code == 403
    assert client.get(URL).status_code == 403 == client.post(URL).status_code
    draft.refresh_from_db()
    assert draft.state == "leak"


def test_what_does_not_exist_is_not_found_and_a_pass_is_a_post(client, admin):
    assert client.get(reverse("modelhub:draft_detail", args=[uuid.uuid4()])).status_code == 404
    assert client.post(reverse("modelhub:draft_pass", args=[uuid.uuid4()])).status_code == 404
    assert client.get(reverse("modelhub:draft_pass", args=[uuid.uuid4()])).status_code == 405


def test_a_rater_learns_nothing_of_how_a_text_was_drafted(client, server):
    study = make_study(overlap=1)
    rater = make_rater(study)
    run = finished(
        ask(endpoint(server.url, name="Canary model"), [make_case(diagnosis="Zoon balanitis")], study=study,
            conditioning="label_at_reasoning")
    )  # fmt: skip
    draft = run.drafting.drafts.get()
    client.force_login(rater)
    slot = claim(study, rater)
    assert slot.version == draft.version
    seen = words(client.get(reverse("rating:assignment", args=[slot.public_id])))
    assert "A single oval brown plaque lies on the forearm." in seen
    for told in ("label_at_reasoning", "told the", "Canary model", "greasy, uneven", "Zoon", "conditioning", "draft_"):
        assert told.lower() not in seen.lower(), told
    for name, key in (("draft_detail", draft.public_id), ("run_detail", run.public_id)):
        assert client.get(reverse(f"modelhub:{name}", args=[key])).status_code == 403
    assert client.get(URL).status_code == 403
