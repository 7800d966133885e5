"""A narrative's versions, ratings and verdicts as pages show them: people under pseudonyms only."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from scoring.models import Certification, Narrative, NarrativeVersion, Rating, Study
from scoring.pseudonym import pseudonym
from scoring.rubric import DIMENSION_KEYS, dimensions_in, overall
from scoring.worddiff import Chunk, word_diff

AUTHORS = {
    NarrativeVersion.Author.MACHINE: gettext_lazy("machine"),
    NarrativeVersion.Author.IMPORT: gettext_lazy("import"),
}


@dataclass(frozen=True)
class RatingRow:
    """One rating: the rater's pseudonym, six cells in the rubric's order, their mean."""

    rater: str
    cells: list[dict[str, Any]]
    mean: float | None
    rating: Rating

    @property
    def comments(self) -> list[dict[str, str]]:
        """What she wrote, about the whole first, then by dimension."""
        about = [{"about": _("On the whole"), "text": self.rating.comment}]
        names = {dimension.key: dimension.name for dimension in dimensions_in(get_language())}
        about += [{"about": names[c["key"]], "text": c["score"].comment} for c in self.cells if c["score"]]
        return [entry for entry in about if entry["text"].strip()]


@dataclass(frozen=True)
class VersionView:
    """A version with the changes against its parent and what was decided about it in the study."""

    version: NarrativeVersion
    author: str
    changes: list[Chunk]
    parent_number: int | None
    ratings: list[RatingRow]
    certifications: list[Certification]
    is_queued: bool


def rating_rows(study: Study, ratings: Iterable[Rating]) -> list[RatingRow]:
    """Ratings in the order of their pseudonyms, so that the order tells nothing about who is who."""
    rows = []
    for rating in ratings:
        scores = {score.dimension: score for score in rating.scores.all()}
        cells = [{"key": key, "score": scores.get(key)} for key in DIMENSION_KEYS]
        name = pseudonym(study.public_id, rating.rater.public_id)
        rows.append(RatingRow(name, cells, overall({k: s.value for k, s in scores.items()}), rating))
    return sorted(rows, key=lambda row: row.rater)


def author_of(version: NarrativeVersion, study: Study) -> str:
    if version.author is not None:
        return pseudonym(study.public_id, version.author.public_id)
    return str(AUTHORS[NarrativeVersion.Author(version.author_kind)])


def version_views(narrative: Narrative, study: Study) -> list[VersionView]:
    """All versions, newest first; a fixed number of queries however many there are."""
    versions = list(narrative.versions.select_related("author", "parent").order_by("-number"))
    ratings = Rating.objects.live().filter(study=study, version__in=versions)
    verdicts = Certification.objects.filter(study=study, version__in=versions).select_related("adjudicator", "policy")
    queued = set(study.assignments.filter(version__in=versions).values_list("version", flat=True))
    by_version: dict[int, list[Rating]] = {}
    for rating in ratings.select_related("rater").prefetch_related("scores"):
        by_version.setdefault(rating.version_id, []).append(rating)
    decided: dict[int, list[Certification]] = {}
    for verdict in verdicts.order_by("-created_at", "-pk"):
        decided.setdefault(verdict.version_id, []).append(verdict)
    return [
        VersionView(
            version=version,
            author=author_of(version, study),
            changes=word_diff(version.parent.text, version.text) if version.parent else [],
            parent_number=version.parent.number if version.parent else None,
            ratings=rating_rows(study, by_version.get(version.pk, [])),
            certifications=decided.get(version.pk, []),
            is_queued=version.pk in queued,
        )
        for version in versions
    ]
