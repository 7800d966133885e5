"""Writing narratives for pending generation rows: each row is committed by itself as soon as its text is there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from modelhub.jobs.base import RunContext
from modelhub.jobs.loaded_models import backend_of
from modelhub.ml.backends.base import Failure, GenerationSettings, Output, Request
from modelhub.models import Generation, ModelVersion
from modelhub.services.endpoints import STAYS, leaves_site
from scoring.models import NarrativeVersion
from scoring.services.narratives import create_narrative

Finished = Callable[[Generation], None]


def write_pending(context: RunContext, model: ModelVersion, settings: dict[str, Any], *, finished: Finished) -> None:
    """Write every pending row of this run and model. ``finished`` is called inside each row's transaction.

    A row that fails says why and the others go on. Raises ``Cancelled`` between two steps of the work, ``LeaseLost``,
    and ``JobFailed`` when the model cannot be loaded.
    """
    rows = pending_rows(context, model)
    if not rows:
        return
    context.write(message=f"Loading {model.name}")
    backend = backend_of(model, settings["bias_mode"])
    decoding = GenerationSettings(**{name: value for name, value in settings.items() if name != "bias_mode"})
    about = settings | {"identity": backend.identity()}
    abroad, waiting = leaves_site(model), {}
    for row in rows:
        request = request_for(row)
        if abroad and not row.case.source.may_leave_site:  # changed since the run was asked for
            store(context, row, Failure(request.id, "request", f"It was not sent: {STAYS}."), about, finished)
        else:
            waiting[request] = row
    by_id = {request.id: row for request, row in waiting.items()}
    for result in backend.generate([*waiting], decoding, tick=context.check):
        store(context, by_id[result.id], result, about, finished)


def pending_rows(context: RunContext, model: ModelVersion) -> list[Generation]:
    rows = Generation.objects.filter(run=context.run, model=model, state=Generation.State.PENDING)
    return list(rows.select_related("case__source", "prompt").prefetch_related("case__images").order_by("pk"))


def request_for(row: Generation) -> Request:
    """The case's random id seeds the sampling, so a case's text does not depend on its neighbours or on restarts."""
    images = tuple(Path(image.file.path) for image in row.case.images.all())
    return Request(id=str(row.case.public_id), images=images, prompt=row.prompt.text)


def store(
    context: RunContext, row: Generation, result: Output | Failure, about: dict[str, Any], finished: Finished
) -> None:
    """One row's narrative and record in one transaction under the lease: all of it or nothing."""
    with context.holding():
        row.settings, row.finished_at = about, timezone.now()
        try:
            if isinstance(result, Failure):
                raise ValidationError(failure_words(result))
            row.version = create_narrative(
                case=row.case,
                text=result.text,
                author_kind=NarrativeVersion.Author.MACHINE,
                truncated=result.truncated,
                context_given=[],  # the request holds the pictures and the prompt, nothing of the case
                conditioning=NarrativeVersion.Conditioning.NONE,
            )
            row.state, row.tokens, row.seconds = Generation.State.DONE, result.tokens, result.seconds
            row.settings = about | {"details": result.details}
        except ValidationError as error:
            row.state, row.error = Generation.State.FAILED, " ".join(error.messages)
        row.save()
        finished(row)


def failure_words(failure: Failure) -> str:
    """For people who know cases, not files."""
    return "Its image cannot be read. Import the case again." if failure.kind == "image" else failure.sentence
