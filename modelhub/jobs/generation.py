"""Writes a run's narratives; started again, it goes on with the rows that are still pending."""

from django.core.exceptions import ValidationError

from modelhub.jobs.base import JobFailed, RunContext
from modelhub.jobs.writing import write_pending
from modelhub.models import Generation, ModelVersion
from scoring.models import Study
from scoring.services.queue import enqueue_versions


def run(context: RunContext) -> None:
    plan = context.run.plan
    model = ModelVersion.objects.select_related("base").get(public_id=plan["model"])
    study = Study.objects.get(public_id=plan["study"]) if plan["study"] else None
    rows = Generation.objects.filter(run=context.run)
    if context.run.attempt == 1:  # a new try, not a resumed one
        rows.filter(state=Generation.State.FAILED).update(state=Generation.State.PENDING, error="")

    def finished(row: Generation) -> None:
        if study is not None and row.version is not None:
            enqueue_versions(study=study, versions=[row.version], actor=context.run.created_by)
        done = rows.exclude(state=Generation.State.PENDING).count()
        context.progress(done, plan["cases"], f"{done} of {plan['cases']} narratives")

    try:
        write_pending(context, model, plan["settings"], finished=finished)
    except ValidationError as error:  # the study was closed meanwhile
        raise JobFailed(" ".join(error.messages)) from error
    report(context)


def report(context: RunContext) -> None:
    """How it went, in the run's message. Raises ``JobFailed`` when not one narrative was written."""
    rows = Generation.objects.filter(run=context.run)
    failed = rows.filter(state=Generation.State.FAILED)
    written, count = rows.filter(state=Generation.State.DONE).count(), failed.count()
    if not written:
        first = failed.first()
        raise JobFailed(f"No narrative could be written. {first.error if first else ''}".strip())
    message = f"{written} narratives written" + (f", {count} cases failed" if count else "")
    context.progress(written + count, message=message)
