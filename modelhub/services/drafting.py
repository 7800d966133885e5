"""Asking for DermCoT drafts: what a run would do, queuing it, and letting a flagged text pass."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from modelhub.drafting.leaks import shipped_groups
from modelhub.drafting.recipe import NAMES, READER, prompt_words, prompts_of
from modelhub.models import Draft, DraftingRun, DraftStage, ModelVersion, PromptVersion, Run
from modelhub.services.endpoints import STAYS, cases_that_must_stay, check_endpoint_settings, leaves_site
from modelhub.services.generation import MOST_CASES, prompt_version
from modelhub.services.model_settings import generation_settings
from modelhub.services.runs import continue_run, create_run
from scoring.digest import content_hash
from scoring.models import Case, NarrativeVersion, Split, Study
from scoring.services.audit import record_event

Conditioning = NarrativeVersion.Conditioning
SPEED_ONLY = {"batch_size"}  # changes no text
MOST_NAMED = 20


def plan_drafting(
    *,
    cases: QuerySet[Case],
    model: ModelVersion,
    conditioning: str,
    study: Study | None = None,
    retry_leaks: bool = True,
    budget_tokens: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a run would do, as plain data; nothing is written.

    Keys: ``cases`` (how many would be drafted), ``already`` (left out: drafted or being drafted by this very recipe),
    ``held_out`` (those of the evaluation split), ``model``, ``conditioning``, ``tells_label``, ``prompts`` (name and
    words, in order), ``settings`` (complete), ``recipe_hash``, ``study``, ``slots``, ``calls`` (at least, at most),
    ``leaves_site``, ``refused`` (list of ``{"case", "reason"}``). Raises ``ValidationError`` for a bad setting and a
    model that understands no other words than its own.
    """
    if model.synthetic:
        raise ValidationError({"model": _("This model knows one prompt and drawn lesions only. Choose another model.")})
    if conditioning not in Conditioning.values:
        raise ValidationError({"conditioning": _("Say whether the model is told the reference diagnosis.")})
    if budget_tokens is not None and budget_tokens < 1:
        raise ValidationError({"budget_tokens": _("A budget has at least one token. Leave it empty for no limit.")})
    complete = generation_settings(model, settings)
    check_endpoint_settings(model, complete)
    recipe = recipe_of(model, conditioning, retry_leaks, complete)
    recipe_hash = content_hash(recipe)
    fresh = undrafted(cases, recipe_hash)
    refused = _refused(fresh, model)
    count = fresh.count() - len(refused)
    return {
        "cases": count,
        "already": cases.count() - fresh.count(),
        "held_out": fresh.filter(group__split=Split.EVALUATION).count(),
        "model": model.name,
        "conditioning": conditioning,
        "tells_label": conditioning == Conditioning.LABEL_AT_REASONING,
        "prompts": [(NAMES[key], prompt_words(key)) for key in _prompt_keys(conditioning, retry_leaks)],
        "settings": complete,
        "recipe": recipe,
        "recipe_hash": recipe_hash,
        "study": study.title if study else None,
        "slots": count * study.overlap if study else None,
        "calls": (3 * count, (5 if retry_leaks else 3) * count),
        "leaves_site": leaves_site(model),
        "refused": refused,
    }


@transaction.atomic
def request_drafting(
    *,
    cases: QuerySet[Case],
    model: ModelVersion,
    conditioning: str,
    study: Study | None = None,
    retry_leaks: bool = True,
    budget_tokens: int | None = None,
    settings: Mapping[str, Any] | None = None,
    actor: Any,
) -> Run:
    """Queue a run that drafts one narrative per case, in three stages, and queues each for rating in ``study``.

    A case that this very recipe has drafted, or is drafting, is left out: the same settings twice make no second row.
    ``budget_tokens``: what one try may spend. Raises ``ValidationError`` for no cases left or too many, a case that
    may not be used (by name), a bad setting, and a study that has not started.
    """
    plan = plan_drafting(
        cases=cases,
        model=model,
        conditioning=conditioning,
        study=study,
        retry_leaks=retry_leaks,
        budget_tokens=budget_tokens,
        settings=settings,
    )
    _check(plan, study)
    run = create_run(
        kind=Run.Kind.DRAFTING,
        title=f"{model.name}: {plan['cases']} DermCoT drafts",
        plan={"model": str(model.public_id), "conditioning": conditioning, "cases": plan["cases"]},
        actor=actor,
        total=plan["cases"],
    )
    drafting = DraftingRun.objects.create(
        run=run,
        model=model,
        study=study,
        conditioning=conditioning,
        retry_leaks=retry_leaks,
        settings=plan["settings"],
        manifest=plan["recipe"] | {"model_name": model.name, "vocabulary": _vocabulary()},
        recipe_hash=plan["recipe_hash"],
        budget_tokens=budget_tokens,
    )
    for key in _prompt_keys(conditioning, retry_leaks):
        stage_prompt(key)
    _make_drafts(drafting, cases)
    return run


def _make_drafts(drafting: DraftingRun, cases: QuerySet[Case]) -> None:
    keys = list(undrafted(cases, drafting.recipe_hash).order_by("pk").values_list("pk", flat=True))
    rows = [Draft(drafting=drafting, case_id=key, recipe_hash=drafting.recipe_hash) for key in keys]
    try:
        with transaction.atomic():
            Draft.objects.bulk_create(rows)
    except IntegrityError as error:
        raise ValidationError(
            _("Somebody has just asked for drafts of these cases. Look at the plan again.")
        ) from error


def recipe_of(model: ModelVersion, conditioning: str, retry_leaks: bool, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that could change a draft, but for its case, as plain data."""
    return {
        "reader": READER,
        "weights": [each.weights_hash for each in (model, model.base) if each],
        "conditioning": conditioning,
        "retry_leaks": retry_leaks,
        "prompts": {key: _prompt_hash(key) for key in _prompt_keys(conditioning, retry_leaks)},
        "settings": {name: value for name, value in settings.items() if name not in SPEED_ONLY},
    }


def stage_prompt(key: str) -> PromptVersion:
    """The stored version of a stage's words as they stand in their file."""
    return prompt_version(text=prompt_words(key), name=NAMES[key])


def undrafted(cases: QuerySet[Case], recipe_hash: str) -> QuerySet[Case]:
    """Those that this recipe has not been asked to draft."""
    drafts = Draft.objects.filter(case=OuterRef("pk"), recipe_hash=recipe_hash)
    return Case.objects.filter(pk__in=cases.values("pk")).exclude(Exists(drafts))


@transaction.atomic
def pass_leak(*, draft: Draft, note: str, actor: Any) -> Draft:
    """An administrator lets the flagged text of a held draft pass; the run goes on with it.

    Raises ``ValidationError`` without a reason, for a draft that is not held, and while the run is at work.
    """
    if not note.strip():
        raise ValidationError({"note": _("Say in a few words why this text may pass.")})
    locked = Draft.objects.select_for_update(of=("self",)).select_related("drafting__run").get(pk=draft.pk)
    if locked.state != Draft.State.LEAK:
        raise ValidationError(_("This draft is not held for a leak."))
    if locked.drafting.run.is_active:
        raise ValidationError(_("The run is at work. Wait until it has ended, then let the text pass."))
    stage = locked.stages.filter(state=DraftStage.State.LEAK, passed_at=None).order_by("-pk").first()
    if stage is None:
        raise ValidationError(_("This draft is not held for a leak."))
    stage.passed_by, stage.passed_at, stage.pass_note = actor, timezone.now(), note.strip()
    stage.save(update_fields=["passed_by", "passed_at", "pass_note"])
    locked.state = Draft.State.PENDING
    locked.save(update_fields=["state"])
    record_event(
        actor=actor,
        action="draft.leak_passed",
        subject=locked,
        detail={"stage": stage.kind, "flags": stage.flags, "note": note.strip()},
    )
    continue_run(run=locked.drafting.run, actor=actor)
    return locked


def _prompt_keys(conditioning: str, retry_leaks: bool) -> tuple[str, ...]:
    return prompts_of(tells_label=conditioning == Conditioning.LABEL_AT_REASONING, retry_leaks=retry_leaks)


def _prompt_hash(key: str) -> str:
    return content_hash({"name": NAMES[key], "text": prompt_words(key)})


def _vocabulary() -> dict[str, Any]:
    """Which names count as diagnoses: what comes with the program, and every label that a case here has."""
    labels = Case.objects.order_by("diagnosis").values_list("diagnosis", flat=True).distinct()
    return {"shipped": content_hash([[*group] for group in shipped_groups()]), "labels": list(labels)}


def _refused(cases: QuerySet[Case], model: ModelVersion) -> list[dict[str, str]]:
    bare = cases.annotate(pictures=Count("images")).filter(pictures=0).order_by("pk")
    refused = [{"case": case.code, "reason": _("it has no image")} for case in bare]
    named = {item["case"] for item in refused}
    staying = cases_that_must_stay(model, cases).order_by("pk").distinct()
    return refused + [{"case": case.code, "reason": STAYS} for case in staying if case.code not in named]


def _check(plan: dict[str, Any], study: Study | None) -> None:
    if plan["refused"]:
        shown = plan["refused"][:MOST_NAMED]
        named = "; ".join(f"case {item['case']}: {item['reason']}" for item in shown)
        more = f"; and {len(plan['refused']) - len(shown)} more" if len(plan["refused"]) > len(shown) else ""
        raise ValidationError(f"Some cases cannot be used. Take them out and try again. {named}{more}.")
    if plan["cases"] == 0 and plan["already"]:
        raise ValidationError(_("These settings have drafted every one of these cases already. Change one of them."))
    if plan["cases"] == 0:
        raise ValidationError(_("Choose at least one case."))
    if plan["cases"] > MOST_CASES:
        raise ValidationError(f"Choose at most {MOST_CASES:,} cases for one run.")
    if study is not None and study.state not in {Study.State.RUNNING, Study.State.PAUSED}:
        raise ValidationError(f"The study “{study}” has not started. Start it, or draft without a study.")
