"""Asking raters which of two models' texts is better: pairs and the words to hide go down as plain data."""

import re
from pathlib import PurePosixPath
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from modelhub.models import Generation, ModelVersion
from scoring.models import Comparison, NarrativeVersion, Study
from scoring.services.comparisons import create_comparison, enqueue_pairs, push_identity_words

# Names by which models speak of themselves, whichever wrote the text.
FAMILIES = (
    "SkinGPT",
    "SkinGPT-R1",
    "SkinGPT-4",
    "Vision-R1",
    "Qwen",
    "Qwen2.5-VL",
    "通义千问",
    "DeepSeek",
    "深度求索",
    "ChatGPT",
    "GPT",
    "GPT-4o",
    "GPT-4o-mini",
    "o4-mini",
    "OpenAI",
    "Gemini",
    "MedGemma",
    "Claude",
    "Anthropic",
    "LLaVA",
    "LLaVA-Med",
    "LLaMA",
    "InternVL",
    "HuatuoGPT",
    "华佗GPT",
    "PanDerm",
)


@transaction.atomic
def ask_preferences(
    *, study: Study, first: ModelVersion, second: ModelVersion, actor: Any, **terms: Any
) -> tuple[Comparison, int]:
    """A comparison of two models' latest texts about each case that both wrote about; also how many pairs.

    ``terms``: arms' labels, overlap, reveal, on_identity, as ``create_comparison`` takes them. Raises
    ``ValidationError`` for the same model twice, and when no case has a text by both in one language.
    """
    if first == second:
        raise ValidationError(_("Choose two different models."))
    pairs = _pairs(first, second)
    if not pairs:
        raise ValidationError(_("No case has a text by both models in the same language. Generate them first."))
    push_identity_words(study=study, words=identity_words_of(first, second), actor=actor)
    comparison = create_comparison(study=study, actor=actor, **terms)
    return comparison, enqueue_pairs(comparison=comparison, pairs=pairs, actor=actor)


def identity_words_of(*models: ModelVersion) -> set[str]:
    """Names of the models, of their bases, folders and servers, and of the known families."""
    words = set(FAMILIES)
    for model in models:
        for known in filter(None, (model, model.base)):
            plain = re.sub(r"\s*\([^)]*\)", "", known.name)
            folder = PurePosixPath(known.location.rstrip("/")).name
            words |= {known.name, plain, folder, str(known.endpoint.get("model", ""))}
    return {word[:120] for word in words if sum(character.isalnum() for character in word) >= 3}


def _pairs(first: ModelVersion, second: ModelVersion) -> list[tuple[NarrativeVersion, NarrativeVersion]]:
    one, other = _latest(first), _latest(second)
    shared = sorted(set(one) & set(other))
    return [(one[case], other[case]) for case in shared if _language(one[case]) == _language(other[case])]


def _latest(model: ModelVersion) -> dict[int, NarrativeVersion]:
    done = Generation.objects.filter(model=model, version__isnull=False)
    done = done.select_related("version__narrative__case").order_by("pk")
    return {item.case_id: item.version for item in done if item.version is not None}


def _language(version: NarrativeVersion) -> str:
    return version.narrative.language
