"""Pairs to vote on beside the seeded cases. Run as a program in the product's environment: study's title, number."""

import sys

from bench import rating_data  # sets Django up
from scoring.models import NarrativeVersion, Study
from scoring.services.comparisons import create_comparison, enqueue_pairs
from scoring.services.narratives import create_narrative


def add_pairs(title: str, number: int) -> int:
    """Each pair: a seeded text, and the same about the same case with another reading of its colour."""
    study = Study.objects.get(title=title)
    comparison = create_comparison(study=study, actor=None, first_arm="one", second_arm="two")
    other = rating_data.narrative_text().replace("medium brown", "dark brown")
    pairs = [
        (first, create_narrative(case=first.narrative.case, text=other, author_kind=NarrativeVersion.Author.MACHINE))
        for first in NarrativeVersion.objects.select_related("narrative__case").order_by("-pk")[:number]
    ]
    return enqueue_pairs(comparison=comparison, pairs=pairs, actor=None)


if __name__ == "__main__":
    print(add_pairs(sys.argv[1], int(sys.argv[2])))
