"""Score narratives with DermEval: greedy critiques, and beside each a second reading of the same text.

*greedy*: the numbers as they stand in the text. *expected*: at the place of a whole number the mean of 0 to 5 by the
model's probabilities of those six there, so that 51 % for a 3 does not weigh as much as 99 %. *fitted*, the one to
choose where lines were fitted: the expected numbers through `dermeval_lines`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from modelhub.ml.backends.base import Failure, GenerationSettings, Request, Tick
from modelhub.ml.dermeval_format import Critique, read_critique
from modelhub.ml.dermeval_rows import AnsweredPrompts
from modelhub.ml.generate import generate
from modelhub.ml.generate_plain import generate_plainly
from modelhub.ml.loading import LoadedModel
from modelhub.ml.reading import TextReader
from scoring.rubric import DIMENSION_KEYS, LEVELS


@dataclass(frozen=True)
class ScoredNarrative:
    """`text`: the critique as written. `expected`: 0 to 5, None where its line could not be read or the number is not
    one token. `seconds`: its share of the writing."""

    id: str
    text: str
    critique: Critique
    expected: dict[str, float | None]
    tokens: int
    seconds: float
    truncated: bool


def score_narratives(
    loaded: LoadedModel, requests: Sequence[Request], settings: GenerationSettings, *, tick: Tick | None = None
) -> Iterator[ScoredNarrative | Failure]:
    """One per request, in any order; each request's prompt holds its narrative (`dermeval_format.fill_prompt`).

    `tick` as for `generate`. Raises ValueError for two requests with one id, or settings that draw: an evaluator is
    greedy, so that it says the same again.
    """
    if settings.do_sample:
        raise ValueError("DermEval is greedy: do_sample must be false")
    rows, by_id, written = (
        AnsweredPrompts(loaded),
        {request.id: request for request in requests},
        dict[str, list[int]](),
    )
    writer = generate if rows.own else generate_plainly
    outputs = writer(loaded, requests, settings, tick=tick, on_token=lambda name, ids: written.update({name: [*ids]}))
    finder = NumberFinder(loaded)
    while some := [*islice(outputs, settings.batch_size)]:
        yield from (output for output in some if isinstance(output, Failure))
        done = [output for output in some if not isinstance(output, Failure)]
        if not done:
            continue
        answers = [written.pop(output.id) for output in done]
        logits = rows.logits([by_id[output.id] for output in done], answers)
        for output, tokens, row in zip(done, answers, logits, strict=True):
            critique = read_critique(output.text)
            yield ScoredNarrative(
                id=output.id,
                text=output.text,
                critique=critique,
                expected=finder.expected(critique, tokens, row),
                tokens=len(tokens),
                seconds=output.seconds,
                truncated=output.truncated,
            )


class NumberFinder:
    """Where a critique's whole numbers stand among its tokens, and what the model thought of the other five there."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.reader = TextReader(loaded)
        self.tokenizer: Any = loaded.tokenizer
        self.vocabulary: dict[str, int] = loaded.tokenizer.get_vocab()

    def expected(self, critique: Critique, tokens: Sequence[int], logits: Tensor) -> dict[str, float | None]:
        """`logits` [tokens or more, vocabulary]: what predicted each token."""
        ends = self._ends(tokens)
        return {key: self._mean(critique.spans.get(key), ends, tokens, logits) for key in DIMENSION_KEYS}

    def _ends(self, tokens: Sequence[int]) -> list[int]:
        """Characters of the text up to and with each token."""
        return [len(self.reader.decode(tokens[: place + 1])) for place in range(len(tokens))]

    def _mean(
        self, span: tuple[int, int] | None, ends: list[int], tokens: Sequence[int], logits: Tensor
    ) -> float | None:
        if span is None or span[1] - span[0] != 1:
            return None
        place = next((number for number, end in enumerate(ends) if end > span[0]), None)
        if place is None or (levels := self._levels(tokens[place])) is None:
            return None
        shares = logits[place, torch.tensor(levels, device=logits.device)].softmax(dim=0)
        return float((shares * torch.tensor(LEVELS, device=logits.device)).sum())

    def _levels(self, token: int) -> list[int] | None:
        """The tokens that differ from this one in the number only; None where the vocabulary lacks one."""
        piece: str = self.tokenizer.convert_ids_to_tokens(token)
        digits = [place for place, letter in enumerate(piece) if letter in "012345"]
        if len(digits) != 1:
            return None
        cut = digits[0]
        alike = [f"{piece[:cut]}{level}{piece[cut + 1 :]}" for level in LEVELS]
        return [self.vocabulary[one] for one in alike] if all(one in self.vocabulary for one in alike) else None
