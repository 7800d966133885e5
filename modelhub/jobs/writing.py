"""Writing narratives for pending generation rows: batch by batch, each finished row committed by itself."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from modelhub.jobs.base import RunContext
from modelhub.jobs.loaded_models import load_model
from modelhub.models import Generation, ModelVersion
from scoring.models import NarrativeVersion
from scoring.services.narratives import create_narrative

if TYPE_CHECKING:
    from modelhub.ml.generate import GenerationSettings, Output, Request
    from modelhub.ml.loading import LoadedModel

logger = logging.getLogger(__name__)

Finished = Callable[[Generation], None]


def write_pending(context: RunContext, model: ModelVersion, settings: dict[str, Any], *, finished: Finished) -> None:
    """Write every pending row of this run and model. ``finished`` is called inside each row's transaction.

    A row that fails says why and the others go on. Raises ``Cancelled`` between two batches, ``LeaseLost``, and
    ``JobFailed`` when the model cannot be loaded.
    """
    from modelhub.ml.generate import GenerationSettings

    rows = pending_rows(context, model)
    if not rows:
        return
    context.write(message=f"Loading {model.name}")
    loaded = load_model(model, settings["bias_mode"])
    decoding = GenerationSettings(**{k: v for k, v in settings.items() if k != "bias_mode"})
    for batch in batches(rows, decoding.batch_size):
        context.check()
        for row, output in write_batch(loaded, batch, decoding):
            store(context, row, output, about(loaded, settings), finished)


def pending_rows(context: RunContext, model: ModelVersion) -> list[Generation]:
    """What is still to be written, largest pictures first, so that a lack of memory shows at once."""
    rows = Generation.objects.filter(run=context.run, model=model, state=Generation.State.PENDING)
    found = list(rows.select_related("case", "prompt").prefetch_related("case__images"))
    return sorted(found, key=lambda row: (-sum(i.width * i.height for i in row.case.images.all()), row.case_id))


def batches(rows: Sequence[Generation], size: int) -> Iterator[list[Generation]]:
    left = iter(rows)
    while batch := list(islice(left, size)):
        yield batch


def write_batch(
    loaded: "LoadedModel", rows: Sequence[Generation], settings: "GenerationSettings"
) -> Iterator[tuple[Generation, "Output | str"]]:
    """Each row with its output, or with a sentence why there is none; a failing batch is tried row by row."""
    from modelhub.ml.generate import generate_batch

    try:
        outputs = generate_batch(loaded, [request_for(row) for row in rows], settings)
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        if len(rows) == 1:
            logger.warning("Case %s could not be written", rows[0].case.code, exc_info=True)
            yield rows[0], failure_words(error)
            return
        logger.warning("A batch of %s failed, going on one by one", len(rows), exc_info=True)
        for row in rows:
            yield from write_batch(loaded, [row], settings)
        return
    yield from zip(rows, outputs, strict=True)


def request_for(row: Generation) -> "Request":
    """The case's random id seeds the sampling, so a case's text does not depend on its neighbours or on restarts."""
    from pathlib import Path

    from modelhub.ml.generate import Request

    images = tuple(Path(image.file.path) for image in row.case.images.all())
    return Request(id=str(row.case.public_id), images=images, prompt=row.prompt.text)


def failure_words(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "Its image file is missing. Import the case again."
    if isinstance(error, OSError):
        return "Its image cannot be read. Import the case again."
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return "The machine's memory is too small for this case. Use fewer tokens or a larger card."
    return f"The model refused this case ({type(error).__name__}). The worker's log has the details."


def store(
    context: RunContext, row: Generation, output: "Output | str", facts: dict[str, Any], finished: Finished
) -> None:
    """One row's narrative and record in one transaction under the lease: all of it or nothing."""
    with context.holding():
        row.settings, row.finished_at = facts, timezone.now()
        try:
            if isinstance(output, str):
                raise ValidationError(output)
            row.version = create_narrative(
                case=row.case,
                text=output.text,
                author_kind=NarrativeVersion.Author.MACHINE,
                truncated=output.truncated,
            )
            row.state, row.tokens, row.seconds = Generation.State.DONE, output.tokens, output.seconds
        except ValidationError as error:
            row.state, row.error = Generation.State.FAILED, " ".join(error.messages)
        row.save()
        finished(row)


def about(loaded: "LoadedModel", settings: dict[str, Any]) -> dict[str, Any]:
    """What is kept with every narrative beside its row's own columns."""
    return settings | {"identity": asdict(loaded.identity), "device": loaded.spec.device} | library_versions()


@cache
def library_versions() -> dict[str, Any]:
    return {"versions": {name: version(name) for name in ("torch", "transformers", "peft")}}
