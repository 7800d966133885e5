"""Simulated colleagues: they know the drawings' truth, score by it, and mend what is wrong.

Everything they submit is stored as *simulated* and goes through the same services as a person's.
"""

import uuid
from typing import Any

from django.core.exceptions import ValidationError

from modelhub.ml.synthetic.lesion import Lesion
from modelhub.ml.synthetic.truth import correct, score
from modelhub.models import SyntheticTruth
from scoring.models import Assignment, NarrativeVersion, Study
from scoring.rubric import DIMENSION_KEYS
from scoring.services.narratives import revise_version
from scoring.services.queue import claim_version, enqueue_versions
from scoring.services.ratings import ScoreInput, submit_rating


def lesion_of(version: NarrativeVersion) -> Lesion:
    return Lesion.from_dict(SyntheticTruth.objects.get(case=version.narrative.case_id).lesion)


def judge(version: NarrativeVersion) -> dict[str, ScoreInput]:
    """The exact scores, rounded to the rubric's levels; what cannot be judged says so."""
    exact = score(lesion_of(version), version.text)
    return {
        key: ScoreInput(None, cannot_judge="missing_context")
        if (value := exact[key]) is None
        else ScoreInput(round(value))
        for key in DIMENSION_KEYS
    }


def is_right(version: NarrativeVersion) -> bool:
    return all(entry.value is not None and entry.value >= 4 for entry in judge(version).values())


def rate(study: Study, version: NarrativeVersion, rater: Any) -> None:
    slot: Assignment = claim_version(study=study, version=version, rater=rater)
    submit_rating(assignment=slot, rater=rater, client_uuid=uuid.uuid4(), scores=judge(version), simulated=True)


def mend(study: Study, version: NarrativeVersion, author: Any) -> NarrativeVersion:
    """The colleague's corrected text as the next version, in the queue; the same text if none was needed."""
    try:
        revised = revise_version(version=version, text=correct(lesion_of(version), version.text), author=author)
    except ValidationError:
        return version
    enqueue_versions(study=study, versions=[revised], actor=author)
    return revised


def certify(study: Study, version: NarrativeVersion, team: list[Any]) -> None:
    """Bring a narrative to a certified version as people would: rate it; if it is wrong, mend it and rate again."""
    score_draft(study, version, team)
    if is_right(version):
        return
    author, *others = team
    revised = mend(study, version, author)
    for rater in others[: study.overlap]:
        rate(study, revised, rater)


def score_draft(study: Study, version: NarrativeVersion, team: list[Any]) -> None:
    """The draft's full overlap of ratings."""
    for rater in team[: study.overlap]:
        rate(study, version, rater)
