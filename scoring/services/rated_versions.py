"""All rated versions of a study as the certification rule reads them, in a fixed number of queries."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from scoring.models import Assignment, Dispute, Narrative, NarrativeVersion, Rating, Score, Study
from scoring.verdict import Conclusion, Policy, RatingScores, Verdict, decide


@dataclass
class RatedVersion:
    """What the rule needs of one version; ``ratings`` (keys) in the order of ``given``, ``disputes`` by public id."""

    version: int
    ratings: list[int] = field(default_factory=list)
    given: list[RatingScores] = field(default_factory=list)
    authors: frozenset[int] = frozenset()
    disputes: dict[str, str] = field(default_factory=dict)
    conclusion: Conclusion = Conclusion()  # noqa: RUF009 - immutable

    def verdict(self, policy: Policy) -> Verdict:
        return decide(policy, self.given, self.authors, list(self.disputes.values()), self.conclusion)


def rated_versions(study: Study) -> dict[int, RatedVersion]:
    """By version key: every version with a live rating in the study, the ratings in the order of their keys."""
    found: dict[int, RatedVersion] = {}
    _add_scores(found, study)
    rows = Rating.objects.live().filter(study=study).order_by().values("version")
    texts = NarrativeVersion.objects.filter(pk__in=rows).values_list(
        "pk", "narrative_id", "narrative__case_id", "diagnosis", "narrative__case__diagnosis"
    )
    narratives, cases = {}, {}
    for key, narrative, case, diagnosis, reference in texts:
        narratives[key], cases[key] = narrative, case
        found[key].conclusion = Conclusion(diagnosis, reference)
    disputes = _open_disputes()
    authors = _authors(study, found)
    for key, one in found.items():
        one.disputes = disputes.get(cases[key], {})
        one.authors = authors.get(key, frozenset())
    return found


def _add_scores(found: dict[int, RatedVersion], study: Study) -> None:
    rows = Score.objects.filter(
        rating__study=study, rating__is_current=True, rating__purpose=Assignment.Purpose.LIVE
    ).order_by("rating_id")
    last = 0
    scores: dict[str, float | None] = {}
    columns = ("rating_id", "rating__version_id", "rating__rater_id", "dimension", "value")
    for rating, version, rater, dimension, value in rows.values_list(*columns).iterator(chunk_size=5_000):
        if rating != last:
            last, scores = rating, {}
            one = found.setdefault(version, RatedVersion(version))
            one.ratings.append(rating)
            one.given.append(RatingScores(rater, scores))
        scores[dimension] = value


def _open_disputes() -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for case, public_id, diagnosis in (
        Dispute.objects.open().order_by("pk").values_list("case", "public_id", "diagnosis")
    ):
        found[case][str(public_id)] = diagnosis
    return found


def _authors(study: Study, versions: Iterable[int]) -> dict[int, frozenset[int]]:
    """People who wrote any of the text or of its ancestors; versions of one narrative are read together."""
    rated = Narrative.objects.filter(versions__in=Rating.objects.live().filter(study=study).values("version"))
    edited = NarrativeVersion.objects.filter(narrative__in=rated, author__isnull=False).values("narrative")
    rows = NarrativeVersion.objects.filter(narrative__in=edited).values_list("pk", "parent_id", "author_id")
    above = {key: (parent, author) for key, parent, author in rows}
    found = {}
    for version in versions:
        people, step = set(), version
        while step in above:
            parent, author = above[step]
            people |= {author} - {None}
            step = parent
        if people:
            found[version] = frozenset(people)
    return found
