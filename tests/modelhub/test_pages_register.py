"""Registering a model: by the command here and now, by the page through a worker that reads every number."""

import json
import shutil
from io import StringIO
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.urls import reverse
from safetensors.torch import load as load_bytes
from safetensors.torch import save_file

from modelhub.jobs import registration
from modelhub.jobs.base import run_job
from modelhub.ml.checkpoint_files import CheckpointError
from modelhub.models import ModelVersion, Run
from modelhub.services.models import model_folder
from modelhub.services.registration import request_registration
from tests.factories import make_administrator, make_researcher
from tests.modelhub.checkpoints import checkpoint, make_base

pytestmark = pytest.mark.django_db
URL = "/hub/models/register/"


@pytest.fixture
def root(settings, tmp_path) -> Path:
    """The folder that the page offers, with one checkpoint and things that are none."""
    settings.MODEL_ROOT = tmp_path / "models"
    shutil.copytree(checkpoint(0), settings.MODEL_ROOT / "ours")
    (settings.MODEL_ROOT / "empty").mkdir()
    (settings.MODEL_ROOT / "notes.txt").write_text("x")
    return settings.MODEL_ROOT


@pytest.fixture
def admin(client):
    user = make_administrator()
    client.force_login(user)
    return user


def finished(run: Run) -> Run:
    run_job(run.pk)
    run.refresh_from_db()
    return run


def test_a_folder_becomes_a_base():
    said = StringIO()
    call_command("register_model", str(checkpoint(0)), name="Our base", stdout=said)
    model = ModelVersion.objects.get()
    assert (model.name, model.kind, model.synthetic) == ("Our base", "base", False)
    assert model.weights_hash in said.getvalue()


def test_a_folder_without_weights_is_an_error_in_words(tmp_path):
    with pytest.raises(CommandError, match="cannot be registered"):
        call_command("register_model", str(tmp_path), name="Empty")


def test_the_command_takes_a_model_of_the_hub(monkeypatch):
    command = "modelhub.management.commands.register_model.fetch"
    monkeypatch.setattr(command, lambda model: (checkpoint(0), "c" * 40))
    call_command("register_model", "lab/model@v1", name="Hub", stdout=StringIO())
    source = {"hub": "lab/model", "revision": "c" * 40, "asked_for": "v1"}
    assert ModelVersion.objects.get().card["source"] == source


def test_the_page_queues_a_run_and_reads_no_weights(client, admin, root, monkeypatch):
    monkeypatch.setattr("modelhub.ml.weight_reading.read_weights", pytest.fail)
    form = client.get(URL).context["form"]
    assert [value for value, _ in form.fields["folder"].choices] == ["", "ours"]
    response = client.post(URL, {"name": "Ours", "folder": "ours"})
    run = Run.objects.get()
    assert response.url == reverse("modelhub:run_detail", args=[run.public_id])
    assert (run.kind, run.queue, run.state) == ("registration", "default", "queued")
    assert not ModelVersion.objects.exists()
    assert "ours" in client.get(response.url).content.decode()


def test_the_worker_reads_registers_and_says_so(client, admin, root):
    client.post(URL, {"name": "Ours", "folder": "ours", "synthetic": "on"})
    run = finished(Run.objects.get())
    assert run.state == "succeeded", run.error
    model = ModelVersion.objects.get()
    assert (model.name, model.synthetic, model.created_by) == ("Ours", True, admin)
    assert model_folder(model) == (root / "ours").resolve()
    assert model.card["source"] == {"folder": str((root / "ours").resolve())}
    assert model.card["parameters"] > 10_000 and model.tensor_hashes.tensors
    page = client.get(reverse("modelhub:run_detail", args=[run.public_id])).content.decode()
    assert reverse("modelhub:model_detail", args=[model.public_id]) in page
    Run.objects.filter(pk=run.pk).update(state="queued")  # as if the worker died before its last write
    assert finished(run).state == "succeeded"
    assert ModelVersion.objects.count() == 1


def test_a_broken_checkpoint_fails_with_its_sentence(admin, root):
    state = load_bytes((root / "ours/model.safetensors").read_bytes())
    state["lm_head.weight"][0, 0] = float("nan")
    save_file(state, root / "ours/model.safetensors", metadata={"format": "pt"})
    run = finished(request_registration(name="Broken", folder="ours", actor=admin))
    assert run.state == "failed"
    assert "not a number, or infinite: lm_head.weight in" in run.error and "model.safetensors" in run.error
    assert not ModelVersion.objects.exists()


def test_a_folder_that_is_gone_fails_with_a_sentence(admin, root):
    run = request_registration(name="Gone", folder="ours", actor=admin)
    shutil.rmtree(root / "ours")
    assert "no longer on the server" in finished(run).error


def test_a_model_of_the_hub_is_fetched_and_its_commit_recorded(admin, monkeypatch):
    commit = "0123456789abcdef0123456789abcdef01234567"
    asked = []
    monkeypatch.setattr(registration, "fetch", lambda model: asked.append(model) or (checkpoint(0), commit))
    run = finished(request_registration(name="Hub", hub_id="lab/model", revision="v1", actor=admin))
    assert run.state == "succeeded", run.error
    assert (asked[0].id, asked[0].revision) == ("lab/model", "v1")
    source = {"hub": "lab/model", "revision": commit, "asked_for": "v1"}
    assert ModelVersion.objects.get().card["source"] == source


def test_a_hub_out_of_reach_fails_with_what_to_do(admin, monkeypatch):
    def refuse(model):
        raise CheckpointError("this machine does not reach the files. Fetch it on a machine that does")

    monkeypatch.setattr(registration, "fetch", refuse)
    run = finished(request_registration(name="Hub", hub_id="lab/model", actor=admin))
    assert run.state == "failed" and "Fetch it on a machine that does." in run.error


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "one of them"),
        ({"folder": "ours", "hub_id": "lab/model"}, "one of them"),
        ({"folder": "../secret"}, "not among the folders offered"),
        ({"folder": "empty"}, "not among the folders offered"),
        ({"hub_id": "lab"}, "is no hub id"),
        ({"hub_id": "lab/model", "revision": "../x"}, "is no revision"),
    ],
)
def test_what_cannot_be_a_source_is_refused(root, given, words):
    with pytest.raises(ValidationError, match=words):
        request_registration(name="New", actor=None, **given)
    assert not Run.objects.exists()


def test_a_name_that_is_taken_is_refused_on_the_page(client, admin, root):
    make_base("Ours")
    response = client.post(URL, {"name": "Ours", "folder": "ours"})
    assert response.status_code == 422 and list(response.context["form"].errors) == ["name"]


def test_only_administrators_register(client, root):
    client.force_login(make_researcher())
    assert client.get(URL).status_code == 403
    assert client.post(URL, {"name": "Ours", "folder": "ours"}).status_code == 403
    assert "Register a model" not in client.get(reverse("modelhub:model_list")).content.decode()


def test_a_configuration_that_asks_for_code_is_never_followed(admin, root):
    config = root / "ours/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"auto_map": {"AutoModel": "evil.Model"}}))
    assert "asks to run code of its own" in finished(request_registration(name="E", folder="ours", actor=admin)).error
