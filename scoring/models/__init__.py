"""The tables of the clinical loop. No field or relation here names a model."""

from scoring.models.assignment import Assignment, RatingDraft, Skip
from scoring.models.audit import AuditEvent
from scoring.models.case import Case, CaseFlag, CaseGroup, CaseImage, Source, Split
from scoring.models.certification import Certification
from scoring.models.dataset import DatasetItem, DatasetVersion
from scoring.models.narrative import Narrative, NarrativeVersion
from scoring.models.preference import Preference, PreferenceChoice
from scoring.models.rating import Mark, Rating, Score
from scoring.models.study import (
    Amendment,
    CertificationPolicy,
    Enrolment,
    InformationSheet,
    RubricVersion,
    Study,
)

__all__ = [
    "Amendment",
    "Assignment",
    "AuditEvent",
    "Case",
    "CaseFlag",
    "CaseGroup",
    "CaseImage",
    "Certification",
    "CertificationPolicy",
    "DatasetItem",
    "DatasetVersion",
    "Enrolment",
    "InformationSheet",
    "Mark",
    "Narrative",
    "NarrativeVersion",
    "Preference",
    "PreferenceChoice",
    "Rating",
    "RatingDraft",
    "RubricVersion",
    "Score",
    "Skip",
    "Source",
    "Split",
    "Study",
]
