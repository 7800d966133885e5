"""Frozen dataset versions made the way people make them: rated, certified, frozen."""

from typing import Any

from modelhub.ml.synthetic.lesion import Lesion
from modelhub.models import SyntheticTruth
from scoring.models import Case, DatasetVersion, Split, Study
from scoring.services.datasets import freeze_dataset
from scoring.services.queue import enqueue_versions
from tests.factories import NARRATIVE, make_administrator, make_case, make_rater, make_study, make_version, rate

LESION = Lesion(skin_tone="dark", number="solitary", size="small", shape="round", colour="black", border="irregular")


def certify(cases: list[Case], *, study: Study | None = None, text: str = NARRATIVE) -> Study:
    """One certified narrative per case in a study of one rater per narrative; each concludes as its case does."""
    study = study or make_study(overlap=1)
    rater = make_rater(study)
    versions = [
        make_version(case=case, text=text.replace("Seborrhoeic keratosis", case.diagnosis.capitalize()))
        for case in cases
    ]
    enqueue_versions(study=study, versions=versions, actor=None)
    for _ in versions:
        rate(study, rater)
    return study


def make_dermcot(count: int = 4, **case_fields: Any) -> DatasetVersion:
    study = certify([make_case(**case_fields) for _ in range(count)])
    return freeze_dataset(kind="dermcot", study=study, actor=make_administrator())


def make_dermbench(count: int = 3, *, drawn: bool = True) -> DatasetVersion:
    cases = [make_case(split=Split.EVALUATION) for _ in range(count)]
    if drawn:
        SyntheticTruth.objects.bulk_create(SyntheticTruth(case=case, lesion=LESION.as_dict()) for case in cases)
    return freeze_dataset(kind="dermbench", study=certify(cases), actor=make_administrator())
