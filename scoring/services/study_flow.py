"""From sampled to analysed: every narrative and rating of a study, and where each was left behind."""

from dataclasses import dataclass

from django.db.models import Count, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from scoring.models import Assignment, Rating, Score, Skip, Study
from scoring.services.sealed_scores import sealed_ratings

Purpose, State = Assignment.Purpose, Assignment.State


@dataclass(frozen=True)
class FlowStep:
    """``count`` things left at ``step`` (words in the active language); ``is_loss`` where they went no further."""

    step: str
    count: int
    is_loss: bool = False


def study_flow(study: Study) -> list[FlowStep]:
    """In the order in which things happen; narratives first, then ratings. Losses and what is left add up."""
    slots = Assignment.objects.filter(study=study)
    live = slots.filter(purpose=Purpose.LIVE)
    texts = slots.aggregate(n=Count("version", distinct=True), cases=Count("case", distinct=True))
    steps = [FlowStep(_("cases sampled"), texts["cases"]), FlowStep(_("narratives sampled"), texts["n"])]
    rated = Rating.objects.live().filter(study=study).aggregate(n=Count("version", distinct=True))["n"]
    steps += [FlowStep(_("narratives without a rating that counts"), texts["n"] - rated, is_loss=True)]
    steps += [FlowStep(_("narratives rated"), rated)]
    skips = dict(Skip.objects.filter(study=study).order_by().values_list("reason").annotate(n=Count("pk")))
    steps += [
        FlowStep(_("skipped: %(reason)s") % {"reason": label.lower()}, skips.get(reason, 0), is_loss=True)
        for reason, label in ((one.value, str(one.label)) for one in Skip.Reason)
    ]
    slot_counts = live.aggregate(
        planned=Count("pk"),
        withdrawn=Count("pk", filter=Q(state=State.CLOSED)),
        waiting=Count("pk", filter=Q(state__in=(State.OPEN, *Assignment.LEASED))),
        given=Count("pk", filter=Q(state=State.SUBMITTED)),
    )
    steps += [
        FlowStep(_("ratings planned"), slot_counts["planned"]),
        FlowStep(_("withdrawn with their narrative"), slot_counts["withdrawn"], is_loss=True),
        FlowStep(_("not given yet"), slot_counts["waiting"], is_loss=True),
        FlowStep(_("ratings given"), slot_counts["given"]),
    ]
    return steps + _analysed(study, slot_counts["given"])


def _analysed(study: Study, given: int) -> list[FlowStep]:
    sealed = sealed_ratings(study, timezone.now()).filter(purpose=Purpose.LIVE)
    analysed = sealed.filter(assignment__state=State.SUBMITTED).count()
    submitted = Rating.objects.live().filter(study=study, assignment__state=State.SUBMITTED)
    unsealed = submitted.filter(is_first=True, sealed_at__gt=timezone.now()).count()
    excluded = Rating.objects.current().filter(study=study, purpose=Purpose.EXCLUDED).count()
    scores = Score.objects.filter(rating__in=sealed).aggregate(n=Count("pk"), known=Count("value"))
    return [
        FlowStep(_("not sealed yet"), unsealed, is_loss=True),
        FlowStep(_("informed from the start"), given - unsealed - analysed, is_loss=True),
        FlowStep(_("ratings analysed"), analysed),
        FlowStep(_("ratings of excluded raters, given again by others"), excluded, is_loss=True),
        FlowStep(_("scores of the analysed ratings"), scores["n"]),
        FlowStep(_("could not be judged"), scores["n"] - scores["known"], is_loss=True),
        FlowStep(_("scores analysed"), scores["known"]),
    ]
