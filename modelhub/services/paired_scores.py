"""An evaluator's and physicians' scores of the same texts, side by side; numpy, so for workers only."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelhub.models import EvaluationScore, EvaluatorVersion, PoorNarrative
from modelhub.services.dermeval import cases_learned_from
from scoring.models import NarrativeVersion, Rating
from scoring.models.rating import Score
from scoring.rubric import DIMENSION_KEYS

CONDITION, SKIN_TONE, SOURCE, MADE = "condition", "skin_tone", "source", "made"
STRATA = (CONDITION, SKIN_TONE, SOURCE, MADE)
ORDINARY = ""  # how a text was made poor: it was not
Floats = NDArray[np.float64]
Facts = dict[str, tuple[str, str]]  # stratification → (scale, value); the scale is empty for all but skin tones


@dataclass(frozen=True)
class PairedScores:
    """``machine``, ``physicians``: by dimension (texts,), 0 to 5, NaN where there is none; the latter are means of
    first sealed ratings. ``versions``: keys, (texts,), rising; ``clusters``: their patients or lesions; ``facts``: of
    each text.

    ``ratings``, how many of them were ``simulated``; ``learned_from``: ratings left out because the evaluator was
    trained on the patient or lesion.
    """

    versions: NDArray[np.int64]
    clusters: NDArray[np.int64]
    machine: dict[str, Floats]
    physicians: dict[str, Floats]
    facts: tuple[Facts, ...]
    ratings: int
    simulated: int
    learned_from: int

    def both(self, key: str) -> NDArray[np.bool_]:
        """Which texts have both scores of a dimension."""
        return ~(np.isnan(self.machine[key]) | np.isnan(self.physicians[key]))


def paired_scores(row: EvaluatorVersion) -> PairedScores:
    """Of every text that the evaluator scored and physicians rated under its rubric, but those it learned from."""
    rated = Rating.objects.sealed_first().filter(rubric=row.rubric, version__in=row.evaluations.values("version"))
    ratings = rated.exclude(version__narrative__case__in=cases_learned_from(row))
    people: dict[tuple[int, str], list[float]] = defaultdict(list)
    given = Score.objects.filter(rating__in=ratings)
    for version, dimension, value in given.values_list("rating__version_id", "dimension", "value").order_by("pk"):
        if value is not None:
            people[version, dimension].append(value)
    keys = sorted({version for version, _ in people})
    machine = latest_scores(row)
    groups, facts = facts_of(keys)
    return PairedScores(
        np.array(keys, dtype=np.int64),
        np.array([groups[key] for key in keys], dtype=np.int64),
        {name: np.array([machine.get((key, name), np.nan) for key in keys], dtype=float) for name in DIMENSION_KEYS},
        {
            name: np.array([np.mean(people[key, name]) if (key, name) in people else np.nan for key in keys])
            for name in DIMENSION_KEYS
        },
        tuple(facts[key] for key in keys),
        ratings.count(),
        ratings.filter(simulated=True).count(),
        rated.count() - ratings.count(),
    )


def latest_scores(row: EvaluatorVersion) -> dict[tuple[int, str], float]:
    """(version, dimension) → score, of the last evaluation that has one."""
    found = EvaluationScore.objects.filter(evaluation__evaluator=row).order_by("evaluation_id")
    rows = found.values_list("evaluation__version_id", "dimension", "value")
    return {(version, dimension): value for version, dimension, value in rows if value is not None}


def facts_of(versions: list[int]) -> tuple[dict[int, int], dict[int, Facts]]:
    """Of each version its patient or lesion, and the values by which its texts are told apart; empty: not known."""
    case = "narrative__case__"
    columns = (
        "pk",
        *(case + name for name in ("group_id", "diagnosis", "skin_tone_scale", "skin_tone", "source__name")),
    )
    poor = dict(PoorNarrative.objects.filter(version__in=versions).values_list("version_id", "kind"))
    groups, facts = {}, {}
    for pk, group, diagnosis, scale, tone, source in NarrativeVersion.objects.filter(pk__in=versions).values_list(
        *columns
    ):
        groups[pk] = group
        facts[pk] = {
            CONDITION: ("", diagnosis),
            SKIN_TONE: (scale, tone),
            SOURCE: ("", source),
            MADE: ("", poor.get(pk, ORDINARY)),
        }
    return groups, facts
