"""The chunked head against plain autograd over whole logits: loss, gradients, and nothing of vocabulary width kept."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from modelhub.ml import answer_head
from modelhub.ml.answer_head import answer_loss, bias_rows

TOKENS, HIDDEN, VOCABULARY = 150, 12, 301
LENGTHS = torch.tensor([40, 1, 109])


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_head, "LEAST_TOKENS", 1)
    monkeypatch.setitem(answer_head.CHUNK_LOGITS, "cpu", 64 * VOCABULARY)  # rows begin and end within chunks


def given(dtype: torch.dtype) -> dict[str, Tensor]:
    torch.manual_seed(5)
    return {
        "hidden": torch.randn(TOKENS, HIDDEN, dtype=dtype),
        "lm_head": torch.randn(VOCABULARY, HIDDEN, dtype=dtype),
        "bias": torch.randn(3, HIDDEN, dtype=dtype),
        "targets": torch.randint(0, VOCABULARY, (TOKENS,)),
    }


def plain_loss(values: dict[str, Tensor], rows: Tensor | None) -> Tensor:
    hidden = values["hidden"]
    if rows is not None:
        hidden = hidden + torch.where((rows >= 0)[:, None], values["bias"][rows], 0.0)
    return functional.cross_entropy(hidden @ values["lm_head"].T, values["targets"], reduction="sum")


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize("mode", ["off", "first_token", "all_steps"])
@pytest.mark.parametrize("learns", [("bias",), ("hidden",), ("hidden", "bias")])
def test_loss_and_gradients_equal_autograd(
    dtype: torch.dtype, tolerance: float, mode: str, learns: tuple[str, ...]
) -> None:
    ours, plain = given(dtype), given(dtype)
    rows = bias_rows(LENGTHS, TOKENS, mode)  # type: ignore[arg-type]
    for name in learns:
        ours[name].requires_grad_()
        plain[name].requires_grad_()
    loss = answer_loss(ours["hidden"], ours["lm_head"], ours["targets"], bias=ours["bias"], bias_rows=rows)
    expected = plain_loss(plain, rows)
    assert abs(float((loss - expected).detach())) <= tolerance * float(expected.detach())
    if not expected.requires_grad:  # the bias alone, and it is off
        assert not loss.requires_grad
        return
    (0.3 * loss).backward()
    (0.3 * expected).backward()
    for name in learns:
        theirs = plain[name].grad
        if theirs is None:  # the bias where it is off
            assert ours[name].grad is None
            continue
        assert ours[name].grad is not None
        assert float((ours[name].grad - theirs).abs().max()) <= tolerance * float(theirs.abs().max())


def test_which_tokens_are_biased() -> None:
    lengths = torch.tensor([2, 1, 3])
    assert bias_rows(lengths, 6, "all_steps").tolist() == [0, 0, 1, 2, 2, 2]  # type: ignore[union-attr]
    assert bias_rows(lengths, 6, "first_token").tolist() == [0, -1, 1, 2, -1, -1]  # type: ignore[union-attr]
    assert bias_rows(lengths, 6, "off") is None


def test_extreme_logits_stay_finite_and_exact() -> None:
    values = given(torch.float32)
    values["hidden"] *= 300  # probabilities of targets far below the smallest float
    values["bias"].requires_grad_()
    rows = bias_rows(LENGTHS, TOKENS, "all_steps")
    loss = answer_loss(values["hidden"], values["lm_head"], values["targets"], bias=values["bias"], bias_rows=rows)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(plain_loss(values, rows).detach()), rel=1e-6)
    assert values["bias"].grad is not None and bool(values["bias"].grad.isfinite().all())


def test_bfloat16_states_with_a_float32_bias() -> None:
    values = given(torch.bfloat16)
    values["bias"] = values["bias"].float().requires_grad_()
    rows = bias_rows(LENGTHS, TOKENS, "all_steps")
    loss = answer_loss(values["hidden"], values["lm_head"], values["targets"], bias=values["bias"], bias_rows=rows)
    loss.backward()
    assert loss.dtype == torch.float32
    assert values["bias"].grad is not None and values["bias"].grad.dtype == torch.float32
    exact = {name: v.detach().double() if v.is_floating_point() else v for name, v in values.items()}
    exact["bias"].requires_grad_()
    expected = plain_loss(exact, rows)
    expected.backward()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=2e-2)
    cosine = functional.cosine_similarity(values["bias"].grad.flatten(), exact["bias"].grad.float().flatten(), dim=0)
    assert float(cosine) > 0.999


def test_no_piece_of_logits_is_larger_than_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    widest = []
    whole = torch.log_softmax

    def watched(logits: Tensor, **kwargs: object) -> Tensor:
        widest.append(logits.numel())
        return whole(logits, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(torch, "log_softmax", watched)
    values = given(torch.float32)
    answer_loss(values["hidden"], values["lm_head"], values["targets"])
    assert len(widest) == 3 and max(widest) <= 64 * VOCABULARY and sum(widest) == TOKENS * VOCABULARY


def test_a_head_that_would_learn_is_refused() -> None:
    values = given(torch.float32)
    with pytest.raises(ValueError, match="lm_head is frozen"):
        answer_loss(values["hidden"], values["lm_head"].requires_grad_(), values["targets"])
