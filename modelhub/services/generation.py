"""Asking for narratives: what a run would do, and queuing it."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Max, QuerySet

from modelhub.models import Generation, ModelVersion, PromptVersion, Run
from modelhub.services.endpoints import STAYS, cases_that_must_stay, check_endpoint_settings, leaves_site
from modelhub.services.model_settings import generation_settings
from modelhub.services.runs import create_run
from scoring.digest import content_hash
from scoring.models import Case, Study

MOST_CASES = 20_000
# the words that the demo model was trained with; it understands no others
SYNTHETIC_PROMPT = "Describe the skin lesion step by step, then answer."
EXPERT_PROMPT = (
    "You are a dermatology expert. Describe the morphology, colour, distribution and surface of what the image shows, "
    "interpret these findings, give two to three differential diagnoses, justify the most likely one and advise what "
    "to do next. Reason inside <think> </think>, then conclude inside <answer> </answer>."
)
CLOSED_PROMPT = (
    "You are a dermatology expert. Describe what the image shows, interpret these findings and weigh the diagnoses "
    "below inside <think> </think>. Then conclude inside <answer> </answer> with exactly one of them, in these very "
    "words and without any other:\n{labels}"
)


def closed_prompt(labels: Sequence[str]) -> str:
    """The words that ask for one of some labels, each on a line of its own."""
    return CLOSED_PROMPT.format(labels="\n".join(f"- {label}" for label in sorted(labels)))


def prompt_version(*, text: str, name: str = "Narrative") -> PromptVersion:
    """The version of these very words; new words get the name's next number."""
    digest = content_hash({"name": name, "text": text})
    found = PromptVersion.objects.filter(content_hash=digest).first()
    if found is not None:
        return found
    last = PromptVersion.objects.filter(name=name).aggregate(last=Max("number"))["last"] or 0
    return PromptVersion.objects.create(name=name, number=last + 1, text=text, content_hash=digest)


def prompt_text(model: ModelVersion) -> str:
    """The words a model is asked with."""
    return SYNTHETIC_PROMPT if model.synthetic else EXPERT_PROMPT


def plan_generation(
    *,
    cases: QuerySet[Case],
    model: ModelVersion,
    study: Study | None = None,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a run would do, as plain data; nothing is written.

    Keys: ``cases`` (how many would be written), ``model``, ``prompt``, ``settings`` (complete), ``study`` (title or
    ``None``), ``slots`` (ratings it would ask for, ``None`` without a study), ``already`` (cases this model has written
    about before), ``leaves_site`` (whether pictures do), ``refused`` (list of ``{"case", "reason"}``). Raises
    ``ValidationError`` for a bad setting.
    """
    complete = generation_settings(model, settings)
    check_endpoint_settings(model, complete)
    refused = [{"case": case.code, "reason": "it has no image"} for case in _without_image(cases)]
    bare = {item["case"] for item in refused}
    staying = cases_that_must_stay(model, cases).order_by("pk").distinct()
    refused += [{"case": case.code, "reason": STAYS} for case in staying if case.code not in bare]
    count = cases.count() - len(refused)
    written = Generation.objects.filter(model=model, state=Generation.State.DONE, case__in=cases)
    return {
        "cases": count,
        "model": model.name,
        "prompt": prompt_text(model),
        "settings": complete,
        "study": study.title if study else None,
        "slots": count * study.overlap if study else None,
        "already": written.values("case").distinct().count(),
        "leaves_site": leaves_site(model),
        "refused": refused,
    }


@transaction.atomic
def request_generation(
    *,
    cases: QuerySet[Case],
    model: ModelVersion,
    study: Study | None = None,
    settings: Mapping[str, Any] | None = None,
    actor: Any,
) -> Run:
    """Queue a run that writes one narrative per case and, with a study, queues each for rating as it is finished.

    Raises ``ValidationError`` for no cases or too many, a case that may not be used (by name), a bad setting, and a
    study that has not started.
    """
    plan = plan_generation(cases=cases, model=model, study=study, settings=settings)
    _check(plan, study)
    prompt = prompt_version(text=plan["prompt"])
    run = create_run(
        kind=Run.Kind.GENERATION,
        title=f"{model.name}: {plan['cases']} narratives",
        plan={
            "model": str(model.public_id),
            "prompt": str(prompt.public_id),
            "study": str(study.public_id) if study else None,
            "settings": plan["settings"],
            "cases": plan["cases"],
        },
        actor=actor,
        total=plan["cases"],
    )
    keys = cases.order_by("pk").values_list("pk", flat=True).distinct()
    Generation.objects.bulk_create(Generation(run=run, case_id=key, model=model, prompt=prompt) for key in keys)
    return run


def _without_image(cases: QuerySet[Case]) -> list[Case]:
    bare = Case.objects.filter(pk__in=cases.values("pk")).annotate(pictures=Count("images")).filter(pictures=0)
    return list(bare.order_by("pk"))


def _check(plan: dict[str, Any], study: Study | None) -> None:
    if plan["refused"]:
        named = "; ".join(f"case {item['case']}: {item['reason']}" for item in plan["refused"])
        raise ValidationError(f"Some cases cannot be used. Take them out and try again. {named}.")
    if plan["cases"] == 0:
        raise ValidationError("Choose at least one case.")
    if plan["cases"] > MOST_CASES:
        raise ValidationError(f"Choose at most {MOST_CASES:,} cases for one run.")
    if study is not None and study.state not in {Study.State.RUNNING, Study.State.PAUSED}:
        raise ValidationError(f"The study “{study}” has not started. Start it, or write without a study.")
