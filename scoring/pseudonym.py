"""Raters under names that do not tell who they are."""

import uuid

from django.utils.crypto import salted_hmac

LENGTH = 6


def pseudonym(study_id: uuid.UUID, rater_id: uuid.UUID) -> str:
    """“R-” and six hexadecimal figures from the public ids of study and rater.

    The same rater has one pseudonym within a study and another in the next; without the
    installation's secret key nobody can work it out from the ids.
    """
    digest = salted_hmac("scoring.pseudonym", f"{study_id}:{rater_id}", algorithm="sha256").hexdigest()
    return f"R-{digest[:LENGTH].upper()}"
