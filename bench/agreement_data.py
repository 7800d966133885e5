"""Sealed first ratings in bulk: simulated raters of known severity, straight into the tables."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.utils import timezone

from annotator.accounts.models import User
from scoring.models import Assignment, Case, CaseGroup, Narrative, NarrativeVersion, Rating, Score, Source, Split, Study
from scoring.rubric import DIMENSION_KEYS

TEXTS_PER_CASE = 2


def make_people(count: int) -> list[User]:
    return User.objects.bulk_create(User(username=f"simulated-{uuid.uuid4().hex[:10]}") for _ in range(count))


def make_texts(count: int, *, diagnosis: str = "psoriasis") -> list[NarrativeVersion]:
    """Versions, ``TEXTS_PER_CASE`` to a case, whose text concludes with ``diagnosis``."""
    source = Source.objects.create(name=uuid.uuid4().hex, licence="CC0", basis="Simulated.")
    cases = -(-count // TEXTS_PER_CASE)
    groups = CaseGroup.objects.bulk_create(
        CaseGroup(source=source, key=str(number), split=Split.TRAINING) for number in range(cases)
    )
    made = Case.objects.bulk_create(
        Case(
            source=source,
            source_key=str(number),
            group=group,
            diagnosis=diagnosis,
            diagnosis_basis=Case.Basis.CONSENSUS,
        )
        for number, group in enumerate(groups)
    )
    narratives = Narrative.objects.bulk_create(
        Narrative(case=made[number // TEXTS_PER_CASE], language="en") for number in range(count)
    )
    return NarrativeVersion.objects.bulk_create(
        NarrativeVersion(
            narrative=narrative,
            number=1,
            text=f"{diagnosis.capitalize()}.",
            steps=[],
            diagnosis=f"{diagnosis.capitalize()}.",
            author_kind=NarrativeVersion.Author.MACHINE,
            origin=NarrativeVersion.Origin.DRAFT,
            sha256=uuid.uuid4().hex,
        )
        for narrative in narratives
    )


def simulated_levels(random: np.random.Generator, texts: int, raters: list[int]) -> np.ndarray:
    """Texts × raters × six levels: a quality per text, a severity per rater's number, noise per score."""
    quality = random.normal(3.6, 1.0, size=(texts, 1, 1))
    severity = np.linspace(-0.6, 0.6, max(raters) + 1)[raters][None, :, None]
    noise = random.normal(0, 0.6, size=(texts, len(raters), len(DIMENSION_KEYS)))
    return np.clip(np.round(quality + severity + noise), 0, 5).astype(int)


def store_ratings(
    study: Study,
    given: list[tuple[NarrativeVersion, User, Any]],
    *,
    at: datetime | None = None,
    purpose: str = Assignment.Purpose.LIVE,
) -> list[Rating]:
    """(version, rater, six levels, ``None`` for one that could not be judged) as submitted, sealed ratings."""
    at = at or timezone.now() - timedelta(hours=1)
    cases = dict(Narrative.objects.filter(versions__in=[v.pk for v, _, _ in given[:1]]).values_list("pk", "case_id"))
    if len(given) > 1:
        cases = dict(Narrative.objects.values_list("pk", "case_id"))
    slots = Assignment.objects.bulk_create(
        (
            Assignment(
                study=study,
                version=version,
                case_id=cases[version.narrative_id],
                language="en",
                purpose=purpose,
                slot=number % 30_000 + 1,
                state=Assignment.State.SUBMITTED,
                rater=rater,
                order_key=number,
            )
            for number, (version, rater, _) in enumerate(given)
        ),
        batch_size=2_000,
    )
    ratings = Rating.objects.bulk_create(
        (
            Rating(
                assignment=slot,
                study=study,
                version_id=slot.version_id,
                rater=rater,
                rubric_id=study.rubric_id,
                purpose=purpose,
                client_uuid=uuid.uuid4(),
                sealed_at=at,
            )
            for slot, (_, rater, _levels) in zip(slots, given, strict=True)
        ),
        batch_size=2_000,
    )
    Score.objects.bulk_create(
        (
            Score(
                rating=rating,
                dimension=key,
                value=None if level is None else float(level),
                cannot_judge="image_quality" if level is None else "",
            )
            for rating, (_, _, levels) in zip(ratings, given, strict=True)
            for key, level in zip(DIMENSION_KEYS, levels, strict=True)
        ),
        batch_size=5_000,
    )
    return ratings


def simulate_study(study: Study, *, texts: int, raters: int, per_text: int = 3, seed: int = 1) -> list[User]:
    """``texts`` texts rated by ``per_text`` of ``raters`` people drawn anew for each; the people."""
    random = np.random.default_rng(seed)
    people, versions = make_people(raters), make_texts(texts)
    given = []
    for version in versions:
        chosen = sorted(random.permutation(raters)[:per_text].tolist())
        levels = simulated_levels(random, 1, chosen)[0]
        given += [(version, people[place], row.tolist()) for place, row in zip(chosen, levels, strict=True)]
    store_ratings(study, given)
    return people
