"""Certifications that wait at the desk."""

from django.urls import reverse

from scoring.models import (
    Certification,
    Dispute,
    Rating,
)
from scoring.services.disputes import dispute_reference
from scoring.services.reveals import reveal_reference
from tests.factories import (
    make_queue,
    rate,
)


def disputed(study, raters) -> Certification:
    (version,) = make_queue(study, 1)
    return rated(study, raters, version, safety=1)


def too_low(study, raters) -> Certification:
    (version,) = make_queue(study, 1)
    return rated(study, raters, version, accuracy=3)


def rated(study, raters, version, **low) -> Certification:
    for rater in raters:
        rate(study, rater, 5, **low)
    return Certification.objects.get(version=version, is_current=True)


def url(name: str, certification: Certification) -> str:
    return reverse(f"review:{name}", args=[certification.public_id])


def spread(study, raters, low: int) -> Certification:
    """One rater gives 5 throughout, the other one low score on coverage."""
    (version,) = make_queue(study, 1)
    rate(study, raters[0], 5)
    rate(study, raters[1], 5, clinical_coverage=low)
    return Certification.objects.get(version=version, is_current=True)


def dispute_reference_of(certification, rater) -> Dispute:
    rating = Rating.objects.get(version=certification.version, rater=rater, is_current=True)
    reveal_reference(rating=rating, rater=rater)
    return dispute_reference(rating=rating, rater=rater, diagnosis="Tinea", confidence="probable")
