"""The tables of the clinical loop. No field or relation here names a model."""

from scoring.models.adjudication import Adjudication, FinalScore
from scoring.models.agreement import Agreement
from scoring.models.assignment import Assignment, RatingDraft, Skip
from scoring.models.audit import AuditEvent
from scoring.models.calibration import CalibrationAnswer, CalibrationAttempt, CalibrationExample
from scoring.models.case import Case, CaseFlag, CaseGroup, CaseImage, Source, Split
from scoring.models.certification import Certification
from scoring.models.dataset import DatasetItem, DatasetVersion, LabelledCase, ReferenceExclusion, ReferenceFlag
from scoring.models.dispute import Dispute
from scoring.models.enrolment import Enrolment, InformationSheet
from scoring.models.mark import Mark
from scoring.models.narrative import Narrative, NarrativeVersion
from scoring.models.own_diagnosis import OwnDiagnosis
from scoring.models.pair import Comparison, IdentityWord, Pair, PairDraft, PairSkip, PairSlot
from scoring.models.preference import Preference, PreferenceChoice
from scoring.models.rating import Rating, Reveal, Score
from scoring.models.study import (
    Amendment,
    CertificationPolicy,
    RubricVersion,
    Study,
)
from scoring.models.urgent import UrgentNotice

__all__ = [
    "Adjudication",
    "Agreement",
    "Amendment",
    "Assignment",
    "AuditEvent",
    "CalibrationAnswer",
    "CalibrationAttempt",
    "CalibrationExample",
    "Case",
    "CaseFlag",
    "CaseGroup",
    "CaseImage",
    "Certification",
    "CertificationPolicy",
    "Comparison",
    "DatasetItem",
    "DatasetVersion",
    "Dispute",
    "Enrolment",
    "FinalScore",
    "IdentityWord",
    "InformationSheet",
    "LabelledCase",
    "Mark",
    "Narrative",
    "NarrativeVersion",
    "OwnDiagnosis",
    "Pair",
    "PairDraft",
    "PairSkip",
    "PairSlot",
    "Preference",
    "PreferenceChoice",
    "Rating",
    "RatingDraft",
    "ReferenceExclusion",
    "ReferenceFlag",
    "Reveal",
    "RubricVersion",
    "Score",
    "Skip",
    "Source",
    "Split",
    "Study",
    "UrgentNotice",
]
