"""What people say about the same models on the same cases: ratings and blind preferences; for workers only."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from modelhub.models import Generation, Leaderboard, ModelVersion
from scoring.davidson import RESAMPLES, Vote, standings
from scoring.intervals import FEWEST_RATERS, crossed_interval
from scoring.key_lists import in_parts
from scoring.models import DatasetItem, Preference, PreferenceChoice, Rating, Score
from scoring.models.preference import OVERALL
from scoring.rubric import DIMENSION_KEYS, overall

SCALE = (0.0, 5.0)
TIES = {"tie", "both_bad"}


def human_figures(leaderboard: Leaderboard, models: Sequence[ModelVersion]) -> dict[str, Any]:
    """``ratings``: per model that was rated, its figures; ``preferences``: per question, its standings.

    Only texts by these models about the leaderboard's cases to its prompt; ratings are sealed first ones under the
    evaluator's rubric, with intervals over cases and raters; preferences are blind votes.
    """
    authors = _authors(leaderboard, models)
    return {
        "ratings": _ratings(leaderboard, authors, models),
        "preferences": _preferences(authors, models),
        "fewest_raters": FEWEST_RATERS,
        "resamples": RESAMPLES,
    }


def _authors(leaderboard: Leaderboard, models: Sequence[ModelVersion]) -> dict[int, UUID]:
    """Version → the model that wrote it."""
    items = DatasetItem.objects.filter(dataset=leaderboard.dataset)
    cases = list(
        items.values_list("version__narrative__case", flat=True).distinct().order_by("version__narrative__case")
    )
    written = Generation.objects.filter(model__in=models, prompt=leaderboard.prompt, version__isnull=False)
    authors: dict[int, UUID] = {}
    for part in in_parts(cases):
        authors |= dict(written.filter(case__in=part).values_list("version_id", "model__public_id"))
    return authors


def _ratings(
    leaderboard: Leaderboard, authors: dict[int, UUID], models: Sequence[ModelVersion]
) -> list[dict[str, Any]]:
    sealed = Rating.objects.sealed_first().filter(rubric=leaderboard.evaluator.rubric)
    columns = ("pk", "version_id", "version__narrative__case__group_id", "rater_id", "simulated")
    rows: dict[int, tuple] = {}
    given: dict[int, dict[str, float | None]] = {}
    for texts in in_parts(sorted(authors)):
        here = {row[0]: row[1:] for row in sealed.filter(version__in=texts).order_by("pk").values_list(*columns)}
        rows |= here
        for ratings in in_parts(list(here)):
            answers = Score.objects.filter(rating__in=ratings).values_list("rating_id", "dimension", "value")
            for pk, dimension, value in answers:
                given.setdefault(pk, {})[dimension] = value
    found = []
    for model in models:
        mine = [pk for pk, row in rows.items() if authors[row[0]] == model.public_id]
        if mine:
            scores = [(given[pk] | {OVERALL: overall(given[pk])}, rows[pk][1], rows[pk][2]) for pk in mine]
            found.append(
                {
                    "model": str(model.public_id),
                    "name": model.name,
                    "ratings": len(mine),
                    "simulated": sum(rows[pk][3] for pk in mine),
                    "dimensions": {key: _human_figure(scores, key) for key in DIMENSION_KEYS},
                    "overall": _human_figure(scores, OVERALL),
                }
            )
    return found


def _human_figure(scores: list[tuple[dict[str, float | None], int, int]], key: str) -> dict[str, Any]:
    known = [(float(value), case, rater) for each, case, rater in scores if (value := each.get(key)) is not None]
    values, cases, raters = ([row[column] for row in known] for column in range(3))
    found = crossed_interval(values, cases, raters, scale=SCALE)
    return found.interval.as_dict() | {
        "clusters": found.clusters,
        "raters": found.raters,
        "these_raters_only": found.these_raters_only,
    }


def _preferences(authors: dict[int, UUID], models: Sequence[ModelVersion]) -> list[dict[str, Any]]:
    blind = PreferenceChoice.objects.filter(preference__origin=Preference.Origin.BLIND)
    columns = ("dimension", "choice", "preference__left_id", "preference__right_id", "preference__case__group_id")
    votes: dict[str, list[Vote]] = {}
    both_bad: dict[str, int] = {}
    for part in in_parts(sorted(authors)):
        here = blind.filter(preference__left__in=part).order_by("pk").values_list(*columns)
        for dimension, choice, left, right, group in here:
            if right not in authors or authors[left] == authors[right]:
                continue  # another model's text is not of this board; two texts by one model say nothing about models
            outcome = "tie" if choice in TIES else choice
            votes.setdefault(dimension, []).append(Vote(str(authors[left]), str(authors[right]), outcome, group))
            both_bad[dimension] = both_bad.get(dimension, 0) + (choice == "both_bad")
    names = {str(model.public_id): model.name for model in models}
    return [
        {"question": question, "both_bad": both_bad[question], "standings": _standings(votes[question], names)}
        for question in (OVERALL, *DIMENSION_KEYS)
        if question in votes
    ]


def _standings(votes: list[Vote], names: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "votes": found.votes,
            "clusters": found.clusters,
            "tie_share": found.tie_share,
            "reason": found.reason,
            "models": [each.as_dict() | {"model": each.item, "name": names[each.item]} for each in found.strengths],
        }
        for found in standings(votes)
    ]
