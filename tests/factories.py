"""A small cast of people, and rows to put before them; every value can be overridden."""

import hashlib
import io
import itertools
import uuid
from typing import Any

from django.core.files.base import ContentFile
from PIL import Image

from annotator.accounts.models import User
from annotator.accounts.roles import ADJUDICATOR, ADMINISTRATOR, DERMATOLOGIST, RESEARCHER
from scoring.models import Assignment, Case, CaseGroup, CaseImage, NarrativeVersion, Source, Split, Study
from scoring.rubric import DIMENSION_KEYS
from scoring.services.narratives import create_narrative
from scoring.services.queue import claim_next, enqueue_versions
from scoring.services.ratings import ScoreInput, submit_rating
from scoring.services.studies import accept_sheet, add_sheet, create_study, invite_rater, start_study

_numbers = itertools.count(1)

NARRATIVE = (
    "<think> A single brown plaque with a regular border lies on light skin. It is oval and small. "
    "Seborrhoeic keratosis is considered first because the surface is even. "
    "Melanoma is less likely without asymmetry. </think>"
    "<answer> Seborrhoeic keratosis. No treatment is needed; come back if it changes. </answer>"
)


def make_user(*roles: str, username: str = "", **fields: Any) -> User:
    from django.contrib.auth.models import Group

    user = User.objects.create_user(username or f"person{next(_numbers)}", password="a-long-test-word", **fields)
    user.groups.set(Group.objects.filter(name__in=roles))
    return user


def make_dermatologist(**fields: Any) -> User:
    return make_user(DERMATOLOGIST, **fields)


def make_adjudicator(**fields: Any) -> User:
    return make_user(ADJUDICATOR, **fields)


def make_administrator(**fields: Any) -> User:
    return make_user(ADMINISTRATOR, **fields)


def make_researcher(**fields: Any) -> User:
    return make_user(RESEARCHER, **fields)


def make_study(*, started: bool = True, actor: Any = None, **fields: Any) -> Study:
    values: dict[str, Any] = {
        "title": f"Study {next(_numbers)}",
        "question": "Do certified narratives improve the model?",
        "inclusion": "Every imported case.",
        "exclusion_rules": "Raters who withdraw before their tenth case.",
        "planned_analysis": "Paired difference per dimension.",
        "ethics": "Drawings only: none needed.",
        "overlap": 2,
    }
    study = create_study(actor=actor, **(values | fields))
    add_sheet(study=study, text="You score narratives. Administrators see your scores.", actor=actor)
    return start_study(study=study, actor=actor) if started else study


def make_rater(study: Study, **fields: Any) -> User:
    """A dermatologist who has accepted the study's information sheet."""
    rater = make_dermatologist(**fields)
    join(study, rater)
    return rater


def join(study: Study, rater: User) -> None:
    """She is invited and accepts the newest information sheet."""
    invite_rater(study=study, rater=rater, actor=None)
    accept_sheet(
        study=study,
        rater=rater,
        sheet_version=1,
        qualification="Board-certified dermatologist",
        years_experience=7,
        country="Norway",
        conflicts="none",
        languages=["en"],
    )


def make_source(**fields: Any) -> Source:
    values = {
        "name": f"Source {next(_numbers)}",
        "licence": "CC0",
        "basis": "Drawings.",
        "redistribute": Source.Redistribute.EMBED,
        "may_train": True,
        "may_leave_site": True,
    }
    return Source.objects.create(**(values | fields))


def png(colour: tuple[int, int, int] = (190, 140, 110), size: tuple[int, int] = (64, 48)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def make_case(*, source: Source | None = None, split: str = Split.TRAINING, image: bool = True, **fields: Any) -> Case:
    source = source or make_source()
    number = next(_numbers)
    group = fields.pop("group", None) or CaseGroup.objects.create(source=source, key=f"patient-{number}", split=split)
    values = {
        "source_key": f"key-{number}",
        "diagnosis": "seborrhoeic keratosis",
        "diagnosis_basis": Case.Basis.HISTOPATHOLOGY,
        "age": 54,
        "sex": Case.Sex.FEMALE,
        "body_site": "forearm",
        "skin_tone": "light",
        "skin_tone_scale": "three-level",
    }
    case = Case.objects.create(source=source, group=group, **(values | fields))
    if image:
        content = png((number % 256, 140, 110))
        row = CaseImage(
            case=case,
            position=0,
            media_type="image/png",
            width=64,
            height=48,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            original_sha256=uuid.uuid4().hex * 2,
        )
        row.file.save("image.png", ContentFile(content), save=False)
        row.thumbnail.save("thumbnail.png", ContentFile(content), save=False)
        row.save()
    return case


def make_version(*, case: Case | None = None, text: str = NARRATIVE, **fields: Any) -> NarrativeVersion:
    values = {"author_kind": NarrativeVersion.Author.MACHINE}
    return create_narrative(case=case or make_case(), text=text, **(values | fields))


def make_queue(study: Study, count: int, **fields: Any) -> list[NarrativeVersion]:
    versions = [make_version(**fields) for _ in range(count)]
    enqueue_versions(study=study, versions=versions, actor=None)
    return versions


def scores(value: float | None = 5, **changes: float | None) -> dict[str, ScoreInput]:
    """The same value on all six dimensions, but for the changes; ``None`` cannot be judged."""
    values = dict.fromkeys(DIMENSION_KEYS, value) | changes
    return {
        key: ScoreInput(entry, cannot_judge="image_quality" if entry is None else "") for key, entry in values.items()
    }


def claim(study: Study, rater: User) -> Assignment:
    assignment = claim_next(study=study, rater=rater)
    assert assignment is not None
    return assignment


def rate(study: Study, rater: User, value: float | None = 5, **changes: float | None) -> Any:
    """The rater's next narrative, scored."""
    return submit_rating(
        assignment=claim(study, rater), rater=rater, client_uuid=uuid.uuid4(), scores=scores(value, **changes)
    )
