"""Drafts DermCoT: each case through caption, reasoning and narrative; started again, it goes on with what is missing.

An answer is stored before anything follows from it, and a stored answer is never asked for again.
"""

from collections.abc import Iterator
from itertools import islice

from django.core.exceptions import ValidationError
from django.utils import timezone

from modelhub.drafting.leaks import Vocabulary
from modelhub.drafting.recipe import STAGES
from modelhub.jobs.base import JobFailed, RunContext
from modelhub.jobs.loaded_models import backend_of
from modelhub.jobs.stages import Desk, narrative_in, stage_needed
from modelhub.models import Draft, DraftingRun, DraftStage
from scoring.models import NarrativeVersion
from scoring.services.narratives import create_narrative
from scoring.services.queue import enqueue_versions

AT_ONCE = 200  # drafts that go through the stages side by side
State = Draft.State


def run(context: RunContext) -> None:
    related = DraftingRun.objects.select_related("run", "model__base", "study")
    asked = related.get(run=context.run)
    if context.run.attempt == 1:  # a new try, not a resumed one
        with context.holding():
            asked.drafts.filter(state=State.FAILED).update(state=State.PENDING, error="")
            asked.spent_before = asked.tokens_spent()
            asked.save(update_fields=["spent_before"])
    if asked.drafts.filter(state=State.PENDING).exists():
        draft_pending(context, asked)
    report(context, asked)


def draft_pending(context: RunContext, asked: DraftingRun) -> None:
    context.write(message=f"Loading {asked.model.name}")
    backend = backend_of(asked.model, asked.settings["bias_mode"])
    desk = Desk(context, asked, backend, Vocabulary(asked.manifest["vocabulary"]["labels"]))
    for keys in in_batches(asked):
        for stage in STAGES:
            while waiting := [draft for draft in pending(asked, keys) if stage_needed(draft) == stage]:
                desk.ask(stage, waiting, lambda: show(context, asked, stage))  # noqa: B023 - called at once
        for draft in pending(asked, keys):
            finish(context, asked, draft)


def in_batches(asked: DraftingRun) -> Iterator[list[int]]:
    keys = iter(list(asked.drafts.filter(state=State.PENDING).order_by("pk").values_list("pk", flat=True)))
    while some := [*islice(keys, AT_ONCE)]:
        yield some


def pending(asked: DraftingRun, keys: list[int]) -> list[Draft]:
    """Those that still wait, with what they have so far."""
    rows = asked.drafts.filter(pk__in=keys, state=State.PENDING).select_related("case__source").order_by("pk")
    return list(rows.prefetch_related("stages", "case__images"))


def finish(context: RunContext, asked: DraftingRun, draft: Draft) -> None:
    """The narrative of a draft whose stages are all there, queued for rating; all of it or nothing."""
    stages = [*draft.stages.all()]
    told = any(stage.kind == DraftStage.Kind.NARRATIVE and stage.is_usable for stage in stages)
    assert told, f"{draft} is not through its stages"
    try:
        with context.holding():
            settle(asked, draft, stages)
            if asked.study is not None and draft.version is not None:
                enqueue_versions(study=asked.study, versions=[draft.version], actor=context.run.created_by)
    except ValidationError as error:  # the study was closed meanwhile
        raise JobFailed(" ".join(error.messages)) from error
    show(context, asked, DraftStage.Kind.NARRATIVE)


def settle(asked: DraftingRun, draft: Draft, stages: list[DraftStage]) -> None:
    draft.finished_at = timezone.now()
    try:
        draft.version = create_narrative(
            case=draft.case,
            text=narrative_in(stages),
            author_kind=NarrativeVersion.Author.MACHINE,
            truncated=any(stage.truncated for stage in stages if stage.is_usable),
            context_given=[],  # of the fields of the case; the label is told by the conditioning
            conditioning=asked.conditioning,
        )
        draft.state = State.DONE
    except ValidationError as error:
        draft.state, draft.error = State.FAILED, " ".join(error.messages)
    draft.save()


def show(context: RunContext, asked: DraftingRun, stage: str) -> None:
    total = asked.drafts.count()
    done = asked.drafts.exclude(state=State.PENDING).count()
    context.progress(done, total, f"{done} of {total} drafts; now at the {stage} stage")


def report(context: RunContext, asked: DraftingRun) -> None:
    """How it went, in the run's message. Raises ``JobFailed`` when nothing came of it."""
    counts = {state: asked.drafts.filter(state=state).count() for state in State.values}
    if not counts[State.DONE] and not counts[State.LEAK]:
        first = asked.drafts.filter(state=State.FAILED).order_by("pk").first()
        raise JobFailed(f"No draft could be finished. {first.error if first else ''}".strip())
    held = f", {counts[State.LEAK]} held for a leak" if counts[State.LEAK] else ""
    failed = f", {counts[State.FAILED]} failed" if counts[State.FAILED] else ""
    ended = sum(counts.values()) - counts[State.PENDING]
    context.progress(ended, message=f"{counts[State.DONE]} drafts finished{held}{failed}")
