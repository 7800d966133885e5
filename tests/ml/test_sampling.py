"""Drawing keeps to the distribution; the shortcuts choose what the plain way would."""

import pytest
import torch
from transformers import NoRepeatNGramLogitsProcessor

from modelhub.ml.backends.base import GenerationSettings
from modelhub.ml.sampling import TRIES, NgramRule, Sampler, SamplingProcessor, draw, draw_sorted

SCORES = torch.tensor([2.0, 1.0, 1.0, 0.0, -1.0, float("-inf")])  # .51, .19, .19, .07, .03, 0


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(0.3, [0]), (0.5, [0]), (0.6, [0, 1, 2]), (0.85, [0, 1, 2]), (0.92, [0, 1, 2, 3]), (1.0, [0, 1, 2, 3, 4])],
)
def test_draws_follow_the_distribution_and_top_p(top_p: float, kept: list[int]) -> None:
    """The likeliest tokens that hold top_p, equal ones together, each as often as its probability among them."""
    uniform = torch.rand(4000, TRIES, generator=torch.Generator().manual_seed(1))
    expected = torch.zeros(6)
    expected[kept] = SCORES[kept].softmax(0)
    for drawn in (
        draw(SCORES.expand(4000, -1), top_p, uniform),
        draw_sorted(SCORES.softmax(0).expand(4000, -1), top_p, uniform[:, 0]),
    ):
        shares = torch.bincount(drawn, minlength=6) / 4000
        assert shares[expected == 0].sum() == 0
        torch.testing.assert_close(shares, expected, atol=0.03, rtol=0)


def test_a_row_without_luck_is_drawn_among_the_kept() -> None:
    unlucky = torch.tensor([[0.99] * TRIES, [0.0] * TRIES])  # every try hits the last token, which is not kept
    assert draw(SCORES[:5].expand(2, -1), 0.5, unlucky).tolist() == [0, 0]
    assert draw(SCORES[:5].expand(2, -1), 0.6, unlucky).tolist() == [2, 0]


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
