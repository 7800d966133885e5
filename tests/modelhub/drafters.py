"""A server that drafts DermCoT for tests, and runs that ask it."""

from collections.abc import Callable
from typing import Any

from modelhub.drafting.recipe import prompt_words
from modelhub.jobs.base import run_job
from modelhub.models import Draft, DraftingRun, DraftStage, ModelVersion, Run
from modelhub.services.drafting import request_drafting, stage_prompt
from modelhub.services.endpoints import register_endpoint
from scoring.models import Case
from tests.chat_server import Asked, Reply, chat

CAPTION = "On the forearm there is a single oval brown plaque with a sharp border and a greasy, uneven surface."
REASONING = "The greasy surface matters. Seborrhoeic keratosis is likely; melanoma is less likely."
NARRATIVE = (
    "Image Findings\nA single oval brown plaque lies on the forearm.\n\n"
    "Differential Diagnosis\nSeborrhoeic keratosis and melanoma are considered.\n\n"
    "Diagnostic Reasoning\nThe greasy surface favours seborrhoeic keratosis.\n\n"
    "Final Diagnosis\nSeborrhoeic keratosis.\n\n"
    "Advice\nShow it to a dermatologist if it changes."
)
SETTINGS = {"do_sample": False, "max_new_tokens": 200}


def stage_of(asked: Asked) -> str:
    """Which stage a request is about, told from its words."""
    if asked.prompt.startswith("You describe a clinical photograph"):
        return "caption"
    return "reasoning" if asked.prompt.startswith("You are a dermatology expert") else "narrative"


def drafter(**said: str | Callable[[Asked], str]) -> Callable[[Asked, int], Reply]:
    """Answers each stage with its usual text, or with what is given for it."""
    texts = {"caption": CAPTION, "reasoning": REASONING, "narrative": NARRATIVE} | said

    def answer(asked: Asked, before: int) -> Reply:
        text = texts[stage_of(asked)]
        return chat(text if isinstance(text, str) else text(asked))

    return answer


def endpoint(url: str, **changes: Any) -> ModelVersion:
    model = register_endpoint(**({"name": "Drafter", "url": url, "served_model": "m", "actor": None} | changes))
    model.endpoint |= {"attempts": 1}
    model.save()
    return model


def ask(model: ModelVersion, cases: list[Case], **changes: Any) -> Run:
    values: dict[str, Any] = {"conditioning": "none", "settings": SETTINGS, "actor": None}
    chosen = Case.objects.filter(pk__in=[case.pk for case in cases])
    return request_drafting(cases=chosen, model=model, **(values | changes))


def make_held_draft(model: ModelVersion, case: Case, text: str = "Seborrheic keratosis on the forearm.") -> Draft:
    """A draft with a flagged caption, made directly where a worker would have made it."""
    run = Run.objects.create(kind=Run.Kind.DRAFTING, title="Drafts", state=Run.State.SUCCEEDED)
    asked = DraftingRun.objects.create(
        run=run,
        model=model,
        conditioning="label_at_reasoning",
        retry_leaks=True,
        settings={"seed": 42},
        manifest={"prompts": {}},
        recipe_hash="0" * 64,
    )
    draft = Draft.objects.create(drafting=asked, case=case, recipe_hash=asked.recipe_hash, state=Draft.State.LEAK)
    DraftStage.objects.create(
        draft=draft,
        kind=DraftStage.Kind.CAPTION,
        number=1,
        prompt=stage_prompt("caption"),
        asked=prompt_words("caption"),
        key="0" * 64,
        identity={"backend": "openai"},
        text=text,
        flags=[{"kind": "names_reference", "words": "Seborrheic keratosis"}],
        state=DraftStage.State.LEAK,
        seconds=1.5,
    )
    return draft


def finished(run: Run) -> Run:
    run_job(run.pk)
    run.refresh_from_db()
    return run


def counts(run: Run) -> dict[str, int]:
    return {state: run.drafting.drafts.filter(state=state).count() for state in Draft.State.values}


def stages(run: Run, kind: str) -> list[DraftStage]:
    return list(DraftStage.objects.filter(draft__drafting__run=run, kind=kind).order_by("pk"))
