"""Registering language models as judges, what they may cost, and what their canaries say."""

from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from modelhub.evaluators.canaries import canaries, figures
from modelhub.evaluators.desk import Lost
from modelhub.evaluators.judge import JudgeEvaluator, judge_identity, scores_in
from modelhub.evaluators.prompts import DIAGNOSIS, FREE, REFERENCE, TEMPLATES, Subject
from modelhub.models import EvaluatorVersion, ModelVersion, Run
from modelhub.services.endpoints import endpoint_spec
from modelhub.services.generation import prompt_version
from scoring.digest import content_hash
from scoring.services.audit import record_event
from scoring.services.studies import current_rubric

PROTOCOLS = {REFERENCE: "Judge with the reference text", FREE: "Judge without a reference"}
LANGUAGES = {"en": "English", "zh-hans": "Chinese"}
# what an evaluator may cost and how fast it may be asked; a limit of None is no limit
TERMS: dict[str, tuple[float, float]] = {
    "usd_per_million_in": (0, 10_000),
    "usd_per_million_out": (0, 10_000),
    "requests_per_minute": (0.1, 100_000),
    "concurrency": (1, 64),
    "budget_usd": (0, 1_000_000),
    "budget_tokens": (0, 10**12),
}


@transaction.atomic
def register_judge(
    *,
    name: str,
    model: ModelVersion,
    protocol: str,
    actor: Any,
    language: str = "en",
    diagnosis: bool = False,
    images: bool = False,
    schema: bool = True,
    temperature: float | None = 0.0,
    max_tokens: int = 2_048,
    terms: Mapping[str, float | None] | None = None,
) -> EvaluatorVersion:
    """A judge; the same settings again give the version that is there. ``images``: the case's pictures go along.

    Raises ``ValidationError`` for a model that is not on a server, a bad setting, and pictures for a judge that
    compares texts.
    """
    _check(name, model, protocol, language, images=images, temperature=temperature, max_tokens=max_tokens)
    prompt = prompt_version(text=TEMPLATES[protocol], name=PROTOCOLS[protocol])
    asked = prompt_version(text=TEMPLATES[DIAGNOSIS], name="Judge of the final diagnosis") if diagnosis else None
    rubric = current_rubric()
    settings = {
        "language": language,
        "images": images,
        "schema": schema,
        "temperature": temperature,
        "max_tokens": max_tokens,
    }
    identity = judge_identity(
        spec=endpoint_spec(model),
        protocol=protocol,
        settings=settings,
        prompt=prompt.content_hash,
        diagnosis_prompt=asked.content_hash if asked else None,
    ) | {"rubric": rubric.content_hash}
    found, created = EvaluatorVersion.objects.get_or_create(
        identity_hash=content_hash(identity),
        defaults={
            "name": name.strip(),
            "provider": JudgeEvaluator.provider,
            "identity": identity,
            "rubric": rubric,
            "model": model,
            "prompt": prompt,
            "diagnosis_prompt": asked,
            "terms": checked_terms(terms or {}),
            "created_by": actor,
        },
    )
    if created:
        record_event(
            actor=actor, action="evaluator.registered", subject=found, detail={"identity": found.identity_hash}
        )
    return found


def _check(
    name: str,
    model: ModelVersion,
    protocol: str,
    language: str,
    *,
    images: bool,
    temperature: float | None,
    max_tokens: int,
) -> None:
    problems: dict[str, str] = {}
    if not name.strip():
        problems["name"] = "Give the evaluator a name."
    if model.kind != ModelVersion.Kind.ENDPOINT:
        problems["model"] = f"“{model.name}” is not on a server. Register a model on an OpenAI-compatible server."
    if protocol not in PROTOCOLS:
        problems["protocol"] = f"“{protocol}” is no protocol. Known are {', '.join(PROTOCOLS)}."
    if language not in LANGUAGES:
        problems["language"] = f"“{language}” is no language of the rubric. Known are {', '.join(LANGUAGES)}."
    if images and protocol == REFERENCE:
        problems["images"] = "A judge with the reference compares two texts and is sent no image."
    if temperature is not None and not 0 <= temperature <= 2:
        problems["temperature"] = "The temperature lies between 0 and 2."
    if not 64 <= max_tokens <= 100_000:
        problems["max_tokens"] = "An answer may have 64 to 100,000 tokens."
    if problems:
        raise ValidationError(problems)


@transaction.atomic
def change_terms(*, evaluator: EvaluatorVersion, terms: Mapping[str, float | None], actor: Any) -> EvaluatorVersion:
    """What it may cost and how fast it is asked; no score depends on it. Raises ``ValidationError``."""
    evaluator.terms = checked_terms(terms)
    evaluator.save(update_fields=["terms"])
    record_event(actor=actor, action="evaluator.terms", subject=evaluator, detail=dict(evaluator.terms))
    return evaluator


def checked_terms(terms: Mapping[str, float | None]) -> dict[str, float | None]:
    """All terms, unknown ones ``None``. Raises ``ValidationError`` keyed by term."""
    problems = {name: f"“{name}” is no term." for name in terms if name not in TERMS}
    for name, (low, high) in TERMS.items():
        value = terms.get(name)
        if value is not None and not low <= value <= high:
            problems[name] = f"This lies between {low:g} and {high:,.0f}."
    prices = [terms.get(name) for name in ("usd_per_million_in", "usd_per_million_out")]
    if terms.get("budget_usd") is not None and None in prices:
        problems["budget_usd"] = "A budget in dollars needs both prices. Fill them in, or limit the tokens."
    if problems:
        raise ValidationError(problems)
    found = {name: terms.get(name) for name in TERMS}
    if found["concurrency"] is not None:
        found["concurrency"] = int(found["concurrency"])
    return found


def try_canaries(*, evaluator: EvaluatorVersion, run: Run | None, tick: Callable[[], None]) -> dict[str, Any]:
    """Score the canaries with and without their plants, and store what it says. Stored answers cost nothing.

    Raises ``JudgeStopped`` where the judge cannot be asked.
    """
    judge = JudgeEvaluator(evaluator)
    subjects = {
        text: Subject(text, reference=canary.plain.reference if judge.needs_reference else "")
        for canary in canaries()
        for text in (canary.plain.text, canary.planted)
    }
    questions = (judge.question(judge.protocol, subject, owner=text) for text, subject in subjects.items())
    read = {
        question.owner: scores_in(answer)
        for question, answer in judge.ask_all(questions, run=run, tick=tick)
        if not isinstance(answer, Lost)
    }
    found = figures(read, read)
    EvaluatorVersion.objects.filter(pk=evaluator.pk).update(canaries=found)
    evaluator.canaries = found
    return found
