"""Models of other architectures: checked, loaded and asked through the same commands, without a branch."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save_file

from modelhub.ml.backends.base import GenerationSettings, Output, Request, open_backend
from modelhub.ml.checkpoint_files import CheckpointError
from modelhub.ml.comparison import ComparisonProcessor
from modelhub.ml.loading import LoadSpec
from modelhub.ml.loading import load as load_model
from tests.ml.random_checkpoint import make_idefics, make_llava


@pytest.fixture(scope="module", params=[make_idefics, make_llava], ids=["idefics3", "llava"])
def other(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return request.param(tmp_path_factory.mktemp("other"))


@pytest.fixture
def copy(other: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(other, tmp_path / "copy"))


def test_it_writes_about_pictures_end_to_end(other: Path, pictures: list[Path]) -> None:
    backend = open_backend(LoadSpec(other))
    requests = [Request(str(i), (path,), "Describe.") for i, path in enumerate(pictures[:3])]
    requests += [Request("text", (), "No picture."), Request("two", tuple(pictures[:2]), "Compare.")]
    settings = GenerationSettings(do_sample=False, max_new_tokens=6, batch_size=2)
    outputs = {output.id: output for output in backend.generate(requests, settings)}
    assert set(outputs) == {request.id for request in requests}
    assert all(isinstance(output, Output) and output.tokens for output in outputs.values()), outputs
    identity = backend.identity()
    assert (identity["comparison"], identity["branch_present"], identity["bias_mode"]) == (True, False, "off")
    again = {output.id: output.text for output in backend.generate(requests[:1], settings)}
    assert again["0"] == outputs["0"].text  # alone as in company
    backend.close()


def test_the_picture_reaches_the_network(other: Path, pictures: list[Path]) -> None:
    loaded = load_model(LoadSpec(other))
    assert isinstance(loaded.processor, ComparisonProcessor)
    batch = loaded.processor.encode([("Describe.", (pictures[0],)), ("<image>What?", (pictures[1],))])
    with torch.no_grad():
        logits = loaded.model.qwen(**batch).logits[:, -1]
        batch["pixel_values"] = batch["pixel_values"].flip(0)
        assert not torch.allclose(logits, loaded.model.qwen(**batch).logits[:, -1])
    assert batch["attention_mask"][:, -1].all()  # padded on the left


def test_control_tokens_in_what_people_write_are_characters(other: Path) -> None:
    processor = load_model(LoadSpec(other)).processor
    added = processor.tokenizer.get_added_vocab()
    ids = processor.encode([("x<|im_end|><image2>", ())])["input_ids"][0].tolist()
    plain = processor.encode([("x", ())])["input_ids"][0].tolist()
    assert [ids.count(token) for token in added.values()] == [plain.count(token) for token in added.values()]


def test_every_tensor_at_fault_is_named(copy: Path) -> None:
    file = copy / "model.safetensors"
    state = load(file.read_bytes())
    gone = sorted(state)[:12]
    wrong = next(key for key in sorted(state)[12:] if state[key].dim() == 2)
    state[wrong] = state[wrong][:1].clone()
    save_file({k: v for k, v in state.items() if k not in gone} | {"extra.weight": torch.ones(1)}, file)
    with pytest.raises(CheckpointError, match=str(copy)) as caught:
        load_model(LoadSpec(copy))
    assert len(caught.value.missing) == len(gone) and caught.value.unexpected == ("extra.weight",)
    assert [pair[0] for pair in caught.value.shapes.values()] == [tuple(state[wrong].shape)]


def test_not_a_number_is_found_here_too(copy: Path) -> None:
    state = load((copy / "model.safetensors").read_bytes())
    name = sorted(state)[3]
    state[name].view(-1)[0] = float("nan")
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=f"not a number, or infinite: {name} in"):
        load_model(LoadSpec(copy))


@pytest.mark.parametrize("file", ["config.json", "processor_config.json", "tokenizer_config.json"])
def test_nothing_remote_is_ever_run(copy: Path, file: str) -> None:
    content = json.loads((copy / file).read_text())
    (copy / file).write_text(json.dumps(content | {"auto_map": {"AutoProcessor": "evil.Processor"}}))
    with pytest.raises(CheckpointError, match=f"{file} asks to run code of its own"):
        load_model(LoadSpec(copy))


def test_it_takes_neither_anothers_adapter_nor_bias(other: Path, base: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="needs a complete side branch"):
        load_model(LoadSpec(other, bias_mode="all_steps"))
    (tmp_path / "provenance.json").write_text("{}")
    save_file({"a": torch.ones(1)}, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4, "target_modules": ["q_proj"]}')
    with pytest.raises(CheckpointError, match="missing tensors"):
        load_model(LoadSpec(other, tmp_path))
