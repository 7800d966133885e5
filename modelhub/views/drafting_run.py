"""What the pages of a drafting run show: counts, flags, its drafts, and the stages of one of them."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Case, Count, IntegerField, Value, When
from django.utils.translation import gettext_lazy as _

from modelhub.drafting.leaks import AGAINST_LABEL, NAMES_DIAGNOSIS, NAMES_REFERENCE, SPEAKS_OF_CAPTION, TOLD
from modelhub.models import Draft, DraftingRun, DraftStage, PromptVersion, Run

PER_PAGE = 25
FLAG_WORDS = {
    NAMES_REFERENCE: _("the caption names the reference diagnosis"),
    NAMES_DIAGNOSIS: _("the caption names another diagnosis"),
    TOLD: _("says that the diagnosis was known"),
    SPEAKS_OF_CAPTION: _("speaks of a description"),
    AGAINST_LABEL: _("concludes against the label it was told"),
}
FIRST = (Draft.State.LEAK, Draft.State.FAILED)  # what needs somebody


def drafting_body(
    run: Run, page: str | None, settings: Callable[[dict[str, Any]], list[tuple[str, str]]]
) -> dict[str, Any]:
    """``settings``: how the other runs' pages write settings."""
    asked = DraftingRun.objects.select_related("model__base", "study").filter(run=run).first()
    if asked is None:
        return {"drafting": None}
    counts = dict(asked.drafts.order_by().values_list("state").annotate(n=Count("pk")))
    needy = [When(state=state, then=Value(place)) for place, state in enumerate(FIRST)]
    drafts = asked.drafts.annotate(place=Case(*needy, default=Value(len(FIRST)), output_field=IntegerField()))
    drafts = drafts.select_related("case", "version__narrative").prefetch_related("stages").order_by("place", "pk")
    page_obj = Paginator(drafts, PER_PAGE).get_page(page)
    for draft in page_obj:
        draft.flag_words = flag_words(flag for stage in draft.stages.all() for flag in stage.flags)  # type: ignore[attr-defined]
    prompts = asked.manifest["prompts"]
    return {
        "drafting": asked,
        "model": asked.model,
        "page_obj": page_obj,
        "counts": {state: counts.get(state, 0) for state in Draft.State.values},
        "expected": sum(counts.values()),
        "flags": flag_counts(asked),
        "tokens": asked.tokens_spent(),
        "prompts": PromptVersion.objects.filter(content_hash__in=prompts.values()).order_by("pk"),
        "settings": settings(asked.settings),
    }


def flag_counts(asked: DraftingRun) -> list[tuple[Any, int]]:
    """In how many answers each kind of flag stands, those that were asked for again among them."""
    flagged = DraftStage.objects.filter(draft__drafting=asked).exclude(flags=[]).order_by()
    found = Counter(
        kind for flags in flagged.values_list("flags", flat=True) for kind in {one["kind"] for one in flags}
    )
    return [(words, found[kind]) for kind, words in FLAG_WORDS.items() if found[kind]]


def flag_words(flags: Any) -> list[Any]:
    """Each kind once, in words."""
    kinds = {flag["kind"] for flag in flags}
    return [words for kind, words in FLAG_WORDS.items() if kind in kinds]


def stage_columns(draft: Draft) -> list[dict[str, Any]]:
    """One per stage, in order, each with its tries, the last one first."""
    rows = draft.stages.select_related("prompt", "passed_by", "copied_from__draft__drafting__run").order_by("-number")
    by_kind: dict[str, list[dict[str, Any]]] = {kind: [] for kind in DraftStage.Kind.values}
    for row in rows:
        flags = [{"kind": FLAG_WORDS[flag["kind"]], "words": flag["words"]} for flag in row.flags]
        by_kind[row.kind].append({"row": row, "flags": flags, "backend": row.identity.get("backend", "")})
    return [{"name": label, "tries": by_kind[kind]} for kind, label in DraftStage.Kind.choices]
