"""Comparisons and votes."""

import uuid

from scoring.services.comparisons import (
    create_comparison,
    enqueue_pairs,
)
from scoring.services.preferences import (
    QUESTIONS,
    claim_pair,
    vote,
)
from tests.factories import make_case, make_version


def make_comparison(study, count=3, *, overlap=1, texts=None, **fields):
    comparison = create_comparison(
        study=study, actor=None, **({"first_arm": "A", "second_arm": "B", "overlap": overlap} | fields)
    )
    pairs = []
    for number in range(count):
        case = make_case(image=False)
        first, second = (texts or ("Plaque {n}. Psoriasis.", "Papule {n}. Lichen planus."))[:2]
        pairs.append(tuple(make_version(case=case, text=text.format(n=number)) for text in (first, second)))
    enqueue_pairs(comparison=comparison, pairs=pairs, actor=None)
    return comparison


def all_left(**changes):
    return dict.fromkeys(QUESTIONS, "left") | changes


def cast(study, rater, **changes):
    slot = claim_pair(study=study, rater=rater)
    assert slot is not None
    return vote(slot=slot, rater=rater, client_uuid=uuid.uuid4(), choices=all_left(**changes))
