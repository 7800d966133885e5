"""A small job for tests of the protocol: counts to the plan's number, or does as the plan says."""

from django.core.exceptions import ValidationError
from django.utils import timezone

from modelhub.jobs.base import JobFailed, RunContext
from modelhub.models import Run


def run(context: RunContext) -> None:
    plan = context.run.plan
    for number in range(plan.get("count", 3)):
        context.check()
        if plan.get("lose_after") == number:
            Run.objects.filter(pk=context.run.pk).update(lease_expires=timezone.now() - timezone.timedelta(seconds=1))
            Run.objects.filter(pk=context.run.pk).update(state=Run.State.QUEUED, token=None, lease_expires=None)
        if plan.get("cancel_after") == number:
            Run.objects.filter(pk=context.run.pk).update(cancel_requested=True)
            context._polled = 0.0
        if plan.get("fail") == "sentence":
            raise JobFailed("The weights are missing. Register the model again.")
        if plan.get("fail") == "refusal":
            raise ValidationError("This data set may not be trained on.")
        if plan.get("fail") == "bug":
            raise KeyError("secret internals")
        context.progress(number + 1, message=f"{number + 1} done")
