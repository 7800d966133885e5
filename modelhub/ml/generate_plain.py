"""Generation through transformers' own loop: for models whose layers `decoder` does not know, and to compare with."""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from modelhub.ml.backends.base import Failure, GenerationSettings, Output, Request, Tick, check_ids
from modelhub.ml.comparison import ComparisonProcessor
from modelhub.ml.generate import failure_of
from modelhub.ml.loading import LoadedModel
from modelhub.ml.patches import PictureError
from modelhub.ml.prepare import Preparer
from modelhub.ml.processor import IMAGE_MARK, image_size
from modelhub.ml.reading import TextReader
from modelhub.ml.running_batch import OnToken
from modelhub.ml.sampling import SamplingProcessor

logger = logging.getLogger(__name__)
PLAIN_MARK = IMAGE_MARK.replace("<", "<\u200b")  # written by people, it is no place for a picture


def generate_plainly(
    loaded: LoadedModel,
    requests: Sequence[Request],
    settings: GenerationSettings,
    *,
    tick: Tick | None = None,
    on_token: OnToken | None = None,
) -> Iterator[Output | Failure]:
    """As `generate`, batch by batch; a comparison model's processor resizes pictures its own way. Raises ValueError for
    two requests with one id."""
    check_ids(requests)
    sizes: dict[str, int] = {}
    for request in requests:
        try:
            sizes[request.id] = sum(wide * high for wide, high in map(image_size, request.images))
        except PictureError as error:
            yield Failure(request.id, "image", f"{error}.")
    ordered = sorted((r for r in requests if r.id in sizes), key=lambda r: (-sizes[r.id], r.id))
    waiting = [ordered[i : i + settings.batch_size] for i in range(0, len(ordered), settings.batch_size)]
    reader = TextReader(loaded)
    while waiting:
        batch = waiting.pop(0)
        try:
            results: list[Output | Failure] = [*write_batch(loaded, batch, settings, reader, on_token)]
        except (OSError, RuntimeError, MemoryError, ValueError) as error:
            logger.warning("%s with %s requests in work", type(error).__name__, len(batch), exc_info=error)
            if len(batch) > 1:
                half = len(batch) // 2
                waiting[:0] = [batch[:half], batch[half:]]
                continue
            results = [picture_or_model(batch[0], error)]
        yield from results
        if tick is not None:
            tick()


def picture_or_model(request: Request, error: Exception) -> Failure:
    return Failure(request.id, "image", f"{error}.") if isinstance(error, OSError) else failure_of(request, error)


def write_batch(
    loaded: LoadedModel,
    requests: Sequence[Request],
    settings: GenerationSettings,
    reader: TextReader,
    on_token: OnToken | None,
) -> list[Output]:
    """One batch from its pictures to its texts. `seconds`: the batch's time divided by its rows."""
    began = time.perf_counter()
    batch = {name: value.to(loaded.model.device) for name, value in encode(loaded, requests, settings).items()}
    prompt = batch["input_ids"].shape[1]
    stop = RowStop(reader, [request.id for request in requests], prompt, on_token)
    ids = loaded.model.generate(
        batch,
        max_new_tokens=settings.max_new_tokens,
        do_sample=False,  # the processor below has chosen already
        eos_token_id=loaded.end_token_ids,
        pad_token_id=loaded.tokenizer.pad_token_id,
        logits_processor=LogitsProcessorList([SamplingProcessor(settings, stop.ids, batch["attention_mask"])]),
        stopping_criteria=StoppingCriteriaList([stop]),
    )
    seconds = (time.perf_counter() - began) / len(requests)
    lengths = batch["attention_mask"].sum(dim=1).tolist()
    outputs = []
    for row, request in enumerate(requests):
        written = ids[row, prompt : prompt + stop.lengths[row]].tolist()
        details = {"prompt_tokens": lengths[row]}
        ended = reader.ended(written)
        outputs.append(Output(request.id, reader.text(written), len(written), seconds, not ended, details))
    return outputs


def encode(loaded: LoadedModel, requests: Sequence[Request], settings: GenerationSettings) -> dict[str, Tensor]:
    if isinstance(loaded.processor, ComparisonProcessor):
        return loaded.processor.encode([(r.prompt.replace(IMAGE_MARK, PLAIN_MARK), r.images) for r in requests])
    preparer = Preparer(loaded.processor, settings)
    return preparer.to_batch([preparer.prepare(request) for request in requests], loaded.model.device)


class RowStop(StoppingCriteria):
    """Each row stops at its own end; `lengths`: tokens that it wrote until then."""

    def __init__(self, reader: TextReader, ids: Sequence[str], prompt: int, on_token: OnToken | None) -> None:
        self.reader, self.ids, self.prompt, self.on_token = reader, ids, prompt, on_token
        self.done = [False] * len(ids)
        self.lengths = [0] * len(ids)

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        for row, tokens in enumerate(input_ids[:, self.prompt :].tolist()):
            if self.done[row]:
                continue
            self.lengths[row] = len(tokens)
            self.done[row] = self.reader.ended(tokens)
            if self.on_token is not None:
                self.on_token(self.ids[row], tokens)
        return torch.tensor(self.done, device=input_ids.device)
