"""Where the branch's bias falls, with and without cache, for rows with one image, several and none."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from modelhub.ml.loading import LoadedModel, LoadSpec, load
from modelhub.ml.processor import Message, encode_prompts
from modelhub.ml.skingpt import SkinGPT, map_images_to_rows

STEPS = 6


@pytest.fixture(scope="module")
def loaded(base_with_branch: Path) -> LoadedModel:
    return load(LoadSpec(base_with_branch))


@pytest.fixture(scope="module")
def batch(loaded: LoadedModel, pictures: list[Path]) -> dict[str, Tensor]:
    """Rows: one image; text only; two images; so lengths, and with them the left padding, differ."""
    return encode_prompts(
        loaded.processor,
        [
            ([Message("user", "One.")], pictures[:1]),
            ([Message("user", "No picture at all, but a longer text.")], []),
            ([Message("user", "<image>before and after<image>")], pictures[1:3]),
        ],
    )


def with_mode(loaded: LoadedModel, mode: str) -> SkinGPT:
    loaded.model.bias_mode = mode  # type: ignore[assignment]
    return loaded.model


def test_bias_on_the_hidden_state_equals_bias_on_the_logits(loaded: LoadedModel, batch: dict[str, Tensor]) -> None:
    with torch.no_grad():
        plain = with_mode(loaded, "off")(**batch).logits
        biased = with_mode(loaded, "all_steps")(**batch).logits
        _, bias = loaded.model.run_branch(batch)
        assert bias is not None
        expected = plain + loaded.model.qwen.lm_head(bias)[:, None, :]
    torch.testing.assert_close(biased, expected, atol=1e-5, rtol=1e-5)
    assert (biased[0] - plain[0]).abs().max() > 0.1
    assert torch.equal(biased[1], plain[1])  # the row without an image


def test_images_of_one_row_do_not_reach_another(
    loaded: LoadedModel, batch: dict[str, Tensor], pictures: list[Path]
) -> None:
    alone = encode_prompts(loaded.processor, [([Message("user", "<image>before and after<image>")], pictures[1:3])])
    with torch.no_grad():
        together = loaded.model.run_branch(batch)[1]
        single = loaded.model.run_branch(alone)[1]
    assert together is not None and single is not None
    torch.testing.assert_close(together[2], single[0])


def test_cached_generation_equals_full_forward_at_every_step(loaded: LoadedModel, batch: dict[str, Tensor]) -> None:
    model = with_mode(loaded, "all_steps")
    written = model.generate(
        batch,
        max_new_tokens=STEPS,
        min_new_tokens=STEPS,
        do_sample=False,
        output_logits=True,
        return_dict_in_generate=True,
    )
    length = batch["input_ids"].shape[1]
    extended = dict(batch)
    extended["input_ids"] = written.sequences
    grown = written.sequences.shape[1] - length
    extended["attention_mask"] = torch.nn.functional.pad(batch["attention_mask"], (0, grown), value=1)
    extended["mm_token_type_ids"] = torch.nn.functional.pad(batch["mm_token_type_ids"], (0, grown))
    with torch.no_grad():
        full = model(**extended).logits
    for step, cached in enumerate(written.logits):
        torch.testing.assert_close(cached, full[:, length - 1 + step], atol=2e-5, rtol=1e-4)


def test_first_token_mode_biases_the_first_step_only(loaded: LoadedModel, batch: dict[str, Tensor]) -> None:
    settings = {"max_new_tokens": 1, "do_sample": False, "output_logits": True, "return_dict_in_generate": True}
    first = {
        mode: with_mode(loaded, mode).generate(batch, **settings).logits[0]
        for mode in ("off", "first_token", "all_steps")
    }
    torch.testing.assert_close(first["first_token"], first["all_steps"])
    assert (first["first_token"] - first["off"]).abs().max() > 0.1
    with pytest.raises(ValueError, match="where the answer begins"):
        with_mode(loaded, "first_token")(**batch)


def test_the_bias_does_not_outlive_its_generation(loaded: LoadedModel, batch: dict[str, Tensor]) -> None:
    model = with_mode(loaded, "all_steps")
    model.generate(batch, max_new_tokens=2, do_sample=False)
    hidden = torch.randn(1, 1, 32)
    torch.testing.assert_close(model.qwen.lm_head(hidden), hidden @ model.qwen.lm_head.weight.T)


def test_image_sizes_that_do_not_fit_the_rows_are_refused() -> None:
    ids = torch.tensor([[9, 9, 9, 9, 1], [9, 9, 1, 1, 1]])
    rows = map_images_to_rows(ids, torch.tensor([[1, 4, 4], [1, 2, 4]]), image_token_id=9, merge_size=2)
    assert rows.tolist() == [0, 1]
    with pytest.raises(ValueError, match="do not fit"):
        map_images_to_rows(ids, torch.tensor([[1, 4, 4], [1, 4, 4]]), image_token_id=9, merge_size=2)
    with pytest.raises(ValueError, match="do not fit"):
        map_images_to_rows(ids, torch.tensor([[1, 2, 4], [1, 4, 4]]), image_token_id=9, merge_size=2)


def test_a_bias_without_a_branch_is_refused(loaded: LoadedModel) -> None:
    with pytest.raises(ValueError, match="needs a side branch"):
        SkinGPT(loaded.model.qwen, None, "all_steps")
