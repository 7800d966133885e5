"""The shipped tiny model: a standard folder under 10 MB that reads pictures, and says what it is."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration  # noqa: E402

from modelhub.ml import tiny, tiny_data, tiny_model, tiny_score, tiny_train  # noqa: E402
from modelhub.ml.synthetic import drawing, lesion, truth, wording  # noqa: E402

FOLDER = Path(tiny.__file__).parent / "weights" / "tiny"
BRIGHT = {"light": 0.5, "medium": 0.5}


@pytest.fixture(scope="module")
def shipped():
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    return Qwen2_5_VLForConditionalGeneration.from_pretrained(FOLDER).eval(), tokenizer


def test_folder_is_small_complete_and_says_synthetic():
    names = {file.name for file in FOLDER.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"} <= names
    assert {"chat_template.jinja", "generation_config.json", "README.md", "training.json"} <= names
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < tiny.SIZE_LIMIT
    card = (FOLDER / "README.md").read_text()
    assert "knows nothing of medicine" in card and "huffled images" in card


def test_weights_load_whole_and_in_float32(shipped):
    model, tokenizer = shipped
    loaded, problems = Qwen2_5_VLForConditionalGeneration.from_pretrained(FOLDER, output_loading_info=True)
    assert not any(problems[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert len(tokenizer) <= tiny_model.VOCABULARY


def test_tokenizer_is_byte_level_and_knows_the_chat(shipped):
    _, tokenizer = shipped
    for text in ("Ünïcode, 皮膚 and emoji 🙂\n\ttabs", wording.critique(dict.fromkeys(truth.DIMENSIONS, 2.5))):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    for token in tiny_model.SPECIAL_TOKENS:
        assert len(tokenizer(token)["input_ids"]) == 1
    ids = tiny_model.prompt_ids(tokenizer)
    assert ids.count(tokenizer.convert_tokens_to_ids("<|image_pad|>")) == tiny_model.IMAGE_TOKENS
    narrative = wording.narrative(lesion.sample(np.random.default_rng(0)), np.random.default_rng(0))
    assert len(tokenizer(narrative)["input_ids"]) < 130


def test_training_patches_equal_the_image_processor():
    picture = drawing.draw(lesion.sample(np.random.default_rng(3)), 3)
    wanted = tiny_model.image_processor()([picture], return_tensors="pt")
    small = np.asarray(picture.resize((tiny_data.SIDE, tiny_data.SIDE), 3))  # bicubic
    assert wanted["image_grid_thw"].tolist() == [tiny_train.GRID]
    np.testing.assert_array_equal(wanted["pixel_values"].numpy(), tiny_data.patches(small[None]))


def test_it_reads_light_and_medium_drawings_and_not_shuffled_ones(shipped):
    """24 cases × 6 attributes: chance is 48 of 144 (sd 5.7); shuffled pictures must fall near it."""
    drawn = tiny_data.draw_set(count=24, seed=2024, tones=BRIGHT)
    right = tiny_score.marks(drawn.lesions, tiny_score.tell(*shipped, drawn.pixels))
    shuffled = tiny_score.marks(drawn.lesions, tiny_score.tell(*shipped, np.roll(drawn.pixels, 1, axis=0)))
    attributes = list(lesion.ATTRIBUTES)
    assert sum(right[name].sum() for name in attributes) > 115
    assert sum(shuffled[name].sum() for name in attributes) < 80
    assert right["diagnosis"].mean() > 0.5 > shuffled["diagnosis"].mean()


def test_training_is_the_same_for_a_seed():
    drawn = tiny_data.draw_set(count=8, seed=1, tones=BRIGHT)
    tokenizer = tiny_model.build_tokenizer(1, texts=60)
    stages = (
        tiny_train.Stage("seeing", 2, 4, 1e-3, 1.0),
        tiny_train.Stage("naming", 2, 4, 1e-3, 0.5),
        tiny_train.Stage("telling", 2, 4, 1e-3, 0.5),
    )
    weights = []
    for _ in range(2):
        torch.manual_seed(1)
        model = tiny_model.build_model(tokenizer)
        before = model.lm_head.weight.detach().clone()
        tiny_train.train(model, tokenizer, drawn, seed=1, stages=stages, log=lambda line: None)
        weights.append(model.lm_head.weight.detach())
        assert not torch.equal(before, weights[-1])
    assert torch.equal(*weights)


def test_bad_options_are_refused_in_words(tmp_path, capsys):
    assert tiny.main(["--out", str(tmp_path), "--dark-share", "2"]) == 2
    assert "between 0 and 0.5" in capsys.readouterr().err
