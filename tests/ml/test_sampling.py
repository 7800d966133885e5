"""Drawing keeps to the distribution; the shortcuts choose what the plain way would."""

import pytest
import torch
from transformers import NoRepeatNGramLogitsProcessor

from modelhub.ml import sampling
from modelhub.ml.backends.base import GenerationSettings
from modelhub.ml.sampling import NgramRule, Sampler, SamplingProcessor, draw


def test_draws_follow_the_distribution_and_top_p() -> None:
    scores = torch.tensor([[2.0, 1.0, 0.0, -1.0]]).expand(3000, -1)
    drawn = draw(scores, 0.8, torch.rand(3000, generator=torch.Generator().manual_seed(1)))
    shares = torch.bincount(drawn, minlength=4) / 3000
    expected = scores[0].softmax(0)[:2] / scores[0].softmax(0)[:2].sum()  # .64 < .8 <= .88: two tokens stay
    assert shares[2:].sum() == 0
    torch.testing.assert_close(shares[:2], expected, atol=0.03, rtol=0)


@pytest.mark.parametrize("spread", [0.0, 0.5, 3.0])
def test_looking_at_the_likeliest_first_changes_no_draw(spread: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flat, middling and peaked scores; rounded, so that many are equal."""
    generator = torch.Generator().manual_seed(2)
    scores = (torch.randn(200, 90, generator=generator) * spread).round(decimals=1)
    uniform = torch.rand(200, generator=generator)
    monkeypatch.setitem(sampling.CANDIDATES, "cpu", 8)
    few = draw(scores, 0.9, uniform)
    monkeypatch.setitem(sampling.CANDIDATES, "cpu", 90)
    assert torch.equal(few, draw(scores, 0.9, uniform))


def test_ngrams_are_banned_as_in_transformers() -> None:
    generator = torch.Generator().manual_seed(3)
    for size in (1, 2, 3):
        written = torch.randint(0, 4, (1, 12), generator=generator)
        theirs = NoRepeatNGramLogitsProcessor(size)(written, torch.zeros(1, 4))
        banned = set((theirs[0] == float("-inf")).nonzero()[:, 0].tolist())
        rule = NgramRule(size, written[0].tolist()[:5])
        for token in written[0].tolist()[5:]:
            rule.add(token)
        assert rule.banned() == banned and (banned or size == 3)


def test_padding_is_not_penalised_and_the_prompt_is() -> None:
    settings = GenerationSettings(do_sample=False, repetition_penalty=2.0, max_new_tokens=1)
    processor = SamplingProcessor(settings, ["a"], torch.tensor([[0, 0, 1]]))
    scores = torch.tensor([[0.1, 1.0, 1.0, 0.9, 0.8]])
    assert processor(torch.tensor([[3, 3, 1]]), scores).argmax().item() == 2  # 1 is halved, 3 was padding


def test_a_place_forgets_who_sat_there_before() -> None:
    settings = GenerationSettings(repetition_penalty=1.5, no_repeat_ngram=1, max_new_tokens=2)
    places, steps = torch.tensor([1]), torch.tensor([0])
    scores = torch.randn(1, 30, generator=torch.Generator().manual_seed(4))
    fresh, used = (Sampler(settings, 2, 30, torch.device("cpu")) for _ in range(2))
    used.admit(1, "other", list(range(20)))
    used.choose(scores, places, steps)
    for sampler in (fresh, used):
        sampler.admit(1, "mine", [3, 4])
    assert torch.equal(fresh.choose(scores, places, steps), used.choose(scores, places, steps))
