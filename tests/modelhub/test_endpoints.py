"""Models on servers: how they are registered, what may be sent to them, what is kept of what they wrote."""

from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from modelhub.jobs import loaded_models
from modelhub.jobs.base import run_job
from modelhub.models import Generation, ModelVersion, Run
from modelhub.services.endpoints import register_endpoint
from modelhub.services.generation import EXPERT_PROMPT, plan_generation, request_generation
from modelhub.services.training import request_training
from scoring.models import Case, DatasetVersion, Source
from tests.chat_server import ChatServer, chat, chat_server, error
from tests.factories import make_administrator, make_case, make_source
from tests.modelhub import hub_rows

pytestmark = pytest.mark.django_db
AWAY = "https://api.example.org/v1"


@pytest.fixture
def server():
    with chat_server() as running:
        yield running
    loaded_models.release_models()


def endpoint(url: str = AWAY, **changes: Any) -> ModelVersion:
    return register_endpoint(**({"name": "Served", "url": url, "served_model": "m", "actor": None} | changes))


def cases(*sources: Source) -> Any:
    keys = [make_case(source=source).pk for source in sources or [make_source(), make_source()]]
    return Case.objects.filter(pk__in=keys)


def finished(run: Run) -> Run:
    run_job(run.pk)
    run.refresh_from_db()
    return run


def test_the_command_registers_and_says_where_pictures_go():
    said = StringIO()
    call_command("register_endpoint", AWAY, name="Served", model="m", key_variable="X_API_KEY", stdout=said)
    model = ModelVersion.objects.get()
    assert (model.kind, model.location) == ("endpoint", AWAY)
    assert model.endpoint == {"model": "m", "key_variable": "X_API_KEY", "on_site": False}
    assert "Pictures leave this site." in said.getvalue()
    call_command("register_endpoint", AWAY, name="Served", model="m", on_site=True, stdout=said)
    model.refresh_from_db()
    assert model.endpoint["on_site"] is True and "Pictures stay on this site." in said.getvalue()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "http://10.0.0.1/v1"}, "not encrypted"),
        ({"key_variable": "SECRET_KEY"}, "key variable"),
        ({"served_model": ""}, "name of one of its models"),
        ({"name": "Taken"}, "belongs to another model"),
    ],
)
def test_what_may_not_be_registered_is_refused(changes, words):
    hub_rows.make_model(name="Taken")
    with pytest.raises(ValidationError, match=words):
        endpoint(**changes)
    with pytest.raises(CommandError, match="not encrypted"):
        call_command("register_endpoint", "http://10.0.0.1/v1", name="x", model="m")
    assert ModelVersion.objects.count() == 1


def test_pictures_that_must_stay_are_refused_by_name_before_and_during_the_run(server: ChatServer):
    open_source, closed = make_source(), make_source(may_leave_site=False)
    chosen = cases(open_source, closed)
    plan = plan_generation(cases=chosen, model=endpoint())
    assert plan["leaves_site"] and [item["case"] for item in plan["refused"]] == [chosen.get(source=closed).code]
    with pytest.raises(ValidationError, match="does not let pictures leave"):
        request_generation(cases=chosen, model=endpoint(), actor=None)
    here = endpoint(server.url, name="Here")
    assert plan_generation(cases=chosen, model=here)["refused"] == []

    run = request_generation(cases=chosen.filter(source=open_source), model=endpoint(), actor=None)
    Source.objects.filter(pk=open_source.pk).update(may_leave_site=False)  # changed while the run waited
    finished(run)
    assert run.state == "failed" and "It was not sent: its source does not let pictures leave" in run.error


def test_what_a_server_cannot_be_told_is_refused():
    for bad in ({"bias_mode": "all_steps"}, {"no_repeat_ngram": 3}):
        with pytest.raises(ValidationError) as refused:
            plan_generation(cases=cases(), model=endpoint(), settings=bad)
        assert set(refused.value.message_dict) == set(bad)
    dataset = hub_rows.make_dataset(DatasetVersion.Kind.DERMCOT, actor=make_administrator())
    with pytest.raises(ValidationError, match="cannot be trained here"):
        request_training(base=endpoint(), dataset=dataset, actor=None)


def test_narratives_come_from_the_server_and_failures_stay_with_their_case(server: ChatServer):
    first: list[Any] = []

    def answer(asked: Any, before: int) -> Any:
        first.append(asked.body) if not first else None
        return error(400, "cannot read it") if asked.body == first[0] else chat()

    server.answer = answer
    model = endpoint(server.url)
    run = finished(request_generation(cases=cases(), model=model, settings={"max_new_tokens": 99}, actor=None))
    assert (run.state, run.message) == ("succeeded", "1 narratives written, 1 cases failed"), run.error
    failed, done = Generation.objects.order_by("-state")
    assert failed.error == "The server refused the request (status 400): cannot read it."
    assert done.version.text == "<think>a</think><answer>b</answer>" and done.tokens == 7
    assert done.settings["max_new_tokens"] == 99
    identity = done.settings["identity"]
    assert (identity["backend"], identity["served_model"], identity["bias_mode"]) == ("openai", "m", "off")
    assert identity["endpoint_sha256"] == model.weights_hash
    assert done.settings["details"]["answering_model"] == "served-20260101"
    assert {asked.prompt for asked in server.asked} == {EXPERT_PROMPT}


def test_a_missing_key_fails_the_run_with_the_variables_name(server: ChatServer):
    model = endpoint(server.url, key_variable="NOBODY_SET_THIS_API_KEY")
    run = finished(request_generation(cases=cases(), model=model, actor=None))
    assert run.state == "failed" and "NOBODY_SET_THIS_API_KEY is not set" in run.error
    assert not server.asked


class TestPages:
    @pytest.fixture(autouse=True)
    def _admin(self, client):
        client.force_login(make_administrator())

    def test_the_models_page_says_that_weights_are_unknown(self, client):
        model = endpoint(key_variable="X_API_KEY")
        page = client.get(f"/hub/models/{model.public_id}/").content.decode()
        for words in (AWAY, "X_API_KEY", "leave this site", "unknown: they are on the server"):
            assert words in page
        assert "unknown" in client.get("/hub/models/").content.decode()

    def test_the_plan_says_that_pictures_leave(self, client):
        make_case()
        page = client.get("/hub/runs/generate/", {"check": "1", "model": endpoint().public_id, "with_image": "on"})
        assert "The pictures leave this site" in page.content.decode()
