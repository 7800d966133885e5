"""Certification as a pure rule: the same scores under the same policy give the same verdict.

The published procedure (DermCoT) has dermatologists score and edit a draft until it is right;
the thresholds here are this product's default policy and are versioned with every verdict.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from scoring.diagnosis import names_reference
from scoring.rubric import DIMENSION_KEYS, DIMENSION_NAMES

INCOMPLETE, CERTIFIED, ADJUDICATION, REVISION = (
    "incomplete",
    "certified",
    "adjudication",
    "revision",
)


@dataclass(frozen=True)
class Policy:
    """Thresholds in rubric points, on the 0 to 5 scale.

    ``overlap``: ratings needed (by people who did not write the text). ``minimum_mean``: every
    dimension's mean must reach it. ``safety_veto``: one Safety score at or below it goes to
    adjudication. ``dispute_range``: a range this wide on any dimension goes to adjudication.
    ``diagnosis_veto``: a text that would be certified while its final diagnosis is not the case's
    reference goes to adjudication.
    """

    overlap: int
    minimum_mean: float = 4.0
    safety_veto: float = 2.0
    dispute_range: float = 3.0
    diagnosis_veto: bool = True

    def __post_init__(self) -> None:
        if self.overlap < 1:
            raise ValueError("A policy needs an overlap of at least one rating.")
        if not 0 <= self.minimum_mean <= 5 or not 0 <= self.safety_veto <= 5:
            raise ValueError("Policy thresholds lie between 0 and 5.")
        if self.dispute_range <= 0:
            raise ValueError("The range that counts as a dispute must be above 0.")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class RatingScores:
    """One person's six scores; ``None`` where she could not judge."""

    rater: int
    scores: Mapping[str, float | None]


@dataclass(frozen=True)
class Reason:
    """A sentence with ``values`` for the names in its braces; ``dimension`` is a key, read as its name.

    Stored as plain data, so that each reader gets it in her language.
    """

    text: str
    values: Mapping[str, str | int] = field(default_factory=dict)

    def words(self, translate: Callable[[str], str] = str, dimension_names: Mapping[str, str] = DIMENSION_NAMES) -> str:
        values = dict(self.values)
        if "dimension" in values:
            values["dimension"] = dimension_names[str(values["dimension"])]
        return translate(self.text).format(**values)

    def __str__(self) -> str:
        return self.words()


@dataclass(frozen=True)
class Verdict:
    """``outcome`` with its reasons; ``means`` per dimension, ``None`` if nobody judged it."""

    outcome: str
    reasons: tuple[Reason, ...]
    means: Mapping[str, float | None]
    counted: int


@dataclass(frozen=True)
class Conclusion:
    """What a text concludes, as read from it (empty: it never does), and the case's reference diagnosis."""

    diagnosis: str = ""
    reference: str = ""

    @property
    def is_contrary(self) -> bool:
        return names_reference(self.diagnosis, self.reference) is False


def decide(
    policy: Policy,
    ratings: Sequence[RatingScores],
    authors: frozenset[int],
    disputed: Sequence[str] = (),
    conclusion: Conclusion = Conclusion(),
) -> Verdict:
    """Judge one narrative version from its live ratings.

    ``authors`` are the people who wrote any of the text: their ratings are not counted. A
    dimension that a counted rater could not judge keeps the version from being certified by the
    rule and sends it to adjudication once the overlap is complete. ``disputed``: the diagnoses that
    raters hold against the case's reference and nobody has settled; with one, a rated version waits
    for an adjudicator. ``conclusion``: whatever the scores, one against the reference is not certified
    by the rule.
    """
    counted = sorted((r for r in ratings if r.rater not in authors), key=lambda r: r.rater)
    columns = {key: [v for r in counted if (v := r.scores.get(key)) is not None] for key in DIMENSION_KEYS}
    means = {key: fmean(values) if values else None for key, values in columns.items()}
    disputes = _disputes(policy, columns)
    if counted:
        disputes += [
            Reason("the reference diagnosis is disputed: “{diagnosis}”", {"diagnosis": diagnosis})
            for diagnosis in disputed
        ]
    if disputes:
        return Verdict(ADJUDICATION, tuple(disputes), means, len(counted))
    if len(counted) < policy.overlap:
        reason = Reason("{count} of {overlap} ratings", {"count": len(counted), "overlap": policy.overlap})
        return Verdict(INCOMPLETE, (reason,), means, len(counted))
    unjudged = [
        Reason(
            "{dimension} was judged by {judged} of {count} raters",
            {"dimension": key, "judged": len(values), "count": len(counted)},
        )
        for key, values in columns.items()
        if len(values) < policy.overlap
    ]
    if unjudged:
        return Verdict(ADJUDICATION, tuple(unjudged), means, len(counted))
    low = [
        Reason(
            "{dimension} has a mean of {mean}, below {minimum}",
            {"dimension": key, "mean": f"{mean:.2f}", "minimum": f"{policy.minimum_mean:g}"},
        )
        for key, mean in means.items()
        if mean is not None and mean < policy.minimum_mean
    ]
    if low:
        return Verdict(REVISION, tuple(low), means, len(counted))
    if policy.diagnosis_veto and conclusion.is_contrary:
        contrary = Reason("the final diagnosis is not the reference diagnosis")
        return Verdict(ADJUDICATION, (contrary,), means, len(counted))
    values: dict[str, str | int] = {"minimum": f"{policy.minimum_mean:g}", "count": len(counted)}
    reason = Reason("every mean is at least {minimum} over {count} ratings", values)
    return Verdict(CERTIFIED, (reason,), means, len(counted))


def _disputes(policy: Policy, columns: Mapping[str, Sequence[float]]) -> list[Reason]:
    found = []
    if columns["safety"] and min(columns["safety"]) <= policy.safety_veto:
        lowest = f"{min(columns['safety']):g}"
        found.append(Reason("a {dimension} score of {score}", {"dimension": "safety", "score": lowest}))
    for key, values in columns.items():
        if len(values) > 1 and max(values) - min(values) >= policy.dispute_range:
            ends = {"low": f"{min(values):g}", "high": f"{max(values):g}"}
            found.append(Reason("{dimension} ranges from {low} to {high}", {"dimension": key} | ends))
    return found
