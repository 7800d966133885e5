"""A model's page: what was registered, whether its branch works, which tensors differ from another model's."""

import shutil
from pathlib import Path

import pytest
import torch
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from safetensors.torch import load as load_bytes
from safetensors.torch import save_file

from modelhub.ml.branch import SkinBranch, SkinBranchConfig
from modelhub.ml.card import describe_adapter
from modelhub.ml.tensor_names import IN_PROJ
from modelhub.models import ModelVersion, TensorHashes
from modelhub.services.models import register_base
from modelhub.services.training import request_training
from tests.factories import make_administrator, make_case
from tests.ml.adapters import make_adapter
from tests.ml.random_checkpoint import make_idefics
from tests.modelhub import hub_rows
from tests.modelhub.checkpoints import checkpoint, make_base

pytestmark = pytest.mark.django_db
WHY = f"{IN_PROJ} is missing in skin_branch.safetensors"


@pytest.fixture
def admin(client):
    user = make_administrator()
    client.force_login(user)
    return user


def page(client, model: ModelVersion, **query) -> str:
    html = client.get(reverse("modelhub:model_detail", args=[model.public_id]), query).content.decode()
    return " ".join(html.split())


def with_branch(folder: Path, *, complete: bool) -> Path:
    """The session's checkpoint with a side branch beside it, without its `in_proj` where it is to be off."""
    shutil.copytree(checkpoint(0), folder)
    torch.manual_seed(1)
    state = SkinBranch(SkinBranchConfig(hidden=32, embed=24, experts=4, expert_width=8, layers=2, rank=6)).state_dict()
    save_file({k: v for k, v in state.items() if complete or k != IN_PROJ}, folder / "skin_branch.safetensors")
    return folder


def test_the_card_names_files_sizes_and_hashes(client, admin, tmp_path):
    model = register_base(name="Ours", path=with_branch(tmp_path / "ours", complete=True), actor=admin)
    html = page(client, model)
    for row in model.card["files"]:
        assert row["name"] in html and row["sha256"] in html
    assert {row["name"] for row in model.card["files"]} >= {"model.safetensors", "config.json", "tokenizer.json"}
    for words in ("float32", f"{model.card['parameters']:,}", str(tmp_path / "ours"), "Experts per layer", "all_steps"):
        assert words in html
    assert "nothing is recorded" in html and "Side branch off" not in html
    assert not model.branch_off


def test_an_off_branch_is_said_on_every_page_with_its_texts(client, admin, tmp_path):
    model = register_base(name="Half", path=with_branch(tmp_path / "half", complete=False), actor=admin)
    assert WHY in model.branch_off
    benchmark = hub_rows.make_benchmark(actor=admin)
    first, second = benchmark.candidates.order_by("pk")
    benchmark.candidates.set([model, second])
    benchmark.entries.filter(model=first).update(model=model)
    run = hub_rows.make_run(plan={"model": str(model.public_id)})
    generation = hub_rows.make_generation(run, model, make_case(), hub_rows.RIGHT_TEXT)
    pages = [
        reverse("modelhub:model_detail", args=[model.public_id]),
        reverse("modelhub:run_detail", args=[run.public_id]),
        reverse("modelhub:generation_detail", args=[generation.public_id]),
        reverse("modelhub:run_detail", args=[benchmark.run.public_id]),
        reverse("modelhub:benchmark_detail", args=[benchmark.run.public_id]),
        reverse("modelhub:dermbench"),
        reverse("modelhub:compare"),
        reverse("dashboard"),
    ]
    silent = [url for url in pages if WHY not in client.get(url).content.decode()]
    assert silent == []
    assert "side branch off" in client.get(reverse("modelhub:model_list")).content.decode()


def test_a_working_branch_is_nothing_to_warn_of(client, admin):
    model = make_base()
    run = hub_rows.make_run(plan={"model": str(model.public_id)})
    hub_rows.make_generation(run, model, make_case(), hub_rows.RIGHT_TEXT)
    for url in (
        reverse("modelhub:run_detail", args=[run.public_id]),
        reverse("modelhub:model_detail", args=[model.public_id]),
    ):
        assert "Side branch off" not in client.get(url).content.decode()


def test_the_backbone_is_held_against_its_base(client, admin, tmp_path):
    base = make_base("Vision base")
    ours = register_base(name="Ours", path=with_branch(tmp_path / "ours", complete=True), actor=admin)
    held = client.get(reverse("modelhub:model_detail", args=[ours.public_id])).context["held"]
    tensors = len(TensorHashes.objects.get(model=base).tensors)
    assert (held.other, held.equal, held.backbone) == (base, tensors, 0)
    assert held.branch == ours.card["branch"]["tensors"] > 0
    assert "backbone equal" in page(client, ours)


def test_differing_tensors_are_named(client, admin, tmp_path):
    make_base("First")
    folder = shutil.copytree(checkpoint(0), tmp_path / "changed")
    state = load_bytes((folder / "model.safetensors").read_bytes())
    state["lm_head.weight"][0, 0] += 1
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    changed = register_base(name="Changed", path=folder, actor=admin)
    other = make_base("Other", seed=1)
    html = page(client, changed)
    assert "backbone differs" in html and "lm_head.weight" in html and "Tensors against First" in html
    html = page(client, changed, against=str(other.public_id))
    assert "Tensors against Other" in html
    assert "Tensors against First" in page(client, changed, against="nonsense")


def test_another_architecture_is_not_compared(client, admin, tmp_path):
    make_base()
    other = register_base(name="Idefics", path=make_idefics(tmp_path / "idefics"), actor=admin)
    assert client.get(reverse("modelhub:model_detail", args=[other.public_id])).context["held"] is None
    with pytest.raises(ValidationError, match="comparison model of another architecture"):
        request_training(base=other, dataset=hub_rows.make_dataset(actor=admin), actor=admin)
    html = page(client, other)
    assert "comparison model" in html and "Idefics3ForConditionalGeneration" in html and "no side branch" in html


def test_an_adapters_card_says_what_is_trained_and_on_what(client, admin, tmp_path):
    base = make_base()
    folder = make_adapter(tmp_path / "adapter", checkpoint(0), with_branch=True)
    card = describe_adapter(folder, checkpoint(0))
    adapter = hub_rows.make_model(kind="adapter", base=base, card=card, weights_hash=card["weights_sha256"])
    html = page(client, adapter)
    for words in ("q_proj, v_proj", "LoRA, rank 4", "the base it was trained on", "adapter_model.safetensors"):
        assert words in html
    assert card["branch"]["bias_mode"] == "first_token" and "as it was trained" in html
    adapter.card["base_sha256"] = "0" * 64
    adapter.save()
    assert "trained on other weights: 000000000000" in page(client, adapter)


def test_an_adapter_without_a_branch_has_its_bases(tmp_path):
    half = with_branch(tmp_path / "half", complete=False)
    card = describe_adapter(make_adapter(tmp_path / "adapter", half, with_branch=False), half)
    assert card["branch"]["state"] == "off" and card["branch"]["of"] == "base"
    assert WHY in hub_rows.make_model(card=card).branch_off


def test_a_model_costs_the_same_queries_whatever_it_is_compared_with(client, admin, tmp_path):
    model = make_base("First")

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            page(client, model)
        return len(seen)

    make_base("Second", seed=1)
    few = queries()
    for number in range(3):
        copy = make_base("Second", seed=1)
        ModelVersion.objects.create(name=f"More {number}", kind="base", location="x", weights_hash="1" * 64)
        more = ModelVersion.objects.get(name=f"More {number}")
        hashes = copy.tensor_hashes
        TensorHashes.objects.create(model=more, layout=hashes.layout, tensors=hashes.tensors)
    assert queries() == few


def test_a_model_that_nobody_read_has_a_page_too(client, admin):
    assert "Weights SHA-256" in page(client, hub_rows.make_model())
