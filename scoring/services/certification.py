"""Certification: the pure rule applied to a version's live ratings, and what is stored of it."""

from dataclasses import asdict
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils.translation import gettext as _

from scoring.models import Assignment, Certification, Dispute, NarrativeVersion, Rating, Score, Study
from scoring.prepared import Given, Prepared
from scoring.services.audit import record_event
from scoring.verdict import ADJUDICATION, INCOMPLETE, Conclusion, RatingScores, Verdict, decide

LOCKED: Prepared[tuple[int]] = Prepared(
    lambda: NarrativeVersion.objects.select_for_update().filter(pk=Given("version")).values_list("pk")
)
CURRENT: Prepared[Certification] = Prepared(
    lambda: Certification.objects.filter(study=Given("study"), version=Given("version"), is_current=True)
)
LIVE_SCORES: Prepared[tuple[int, int, str, float | None]] = Prepared(
    lambda: (
        Score.objects.filter(rating__study=Given("study"), rating__version=Given("version"))
        .filter(rating__is_current=True, rating__purpose=Assignment.Purpose.LIVE)
        .order_by("rating_id")
        .values_list("rating_id", "rating__rater_id", "dimension", "value")
    )
)
OPEN_DISPUTES: Prepared[Dispute] = Prepared(
    lambda: Dispute.objects.open().filter(case__narratives=Given("narrative")).order_by("pk")
)


@transaction.atomic(savepoint=False)
def certify_version(*, study: Study, version: NarrativeVersion) -> Certification | None:
    """Apply the study's policy and store the verdict if it is new; ``None`` while incomplete.

    Each rater's last word counts. An adjudicator's decision stands until a rating or a dispute it
    did not see comes in.
    """
    if connection.features.has_select_for_update:
        LOCKED.rows(version=version.pk)
    current = CURRENT.first(study=study.pk, version=version.pk)
    disputes = open_disputes(version)
    if current is None and _decided(study, version, live_scores(study, version), disputes).outcome == INCOMPLETE:
        return None  # the common case, told by one query
    ratings = live_ratings(study, version)
    verdict = verdict_for(study, version, ratings, disputes)
    if current is not None and _rests_on(current, ratings, disputes):
        return current
    Certification.objects.filter(study=study, version=version, is_current=True).update(is_current=False)
    if verdict.outcome == INCOMPLETE:
        return None
    certification = Certification.objects.create(
        study=study,
        version=version,
        policy=study.policy,
        outcome=verdict.outcome,
        scores_used=scores_used(ratings),
        evidence=evidence_of(verdict, ratings, disputes, version),
    )
    certification.ratings.set(ratings)
    record_event(
        actor=None,
        action=f"certification.{verdict.outcome}",
        subject=certification,
        detail={"version": str(version.public_id), "reasons": [str(reason) for reason in verdict.reasons]},
    )
    return certification


@transaction.atomic
def adjudicate(*, certification: Certification, adjudicator: Any, outcome: str, reason: str) -> Certification:
    """An adjudicator's decision, certified or rejected, in place of the current verdict.

    Raises ``ValidationError`` when nothing waits, the reason is missing, the adjudicator wrote any
    of the text, or the reference that it would be certified against is still disputed.
    """
    current = Certification.objects.select_for_update().get(pk=certification.pk)
    if not current.is_current or current.outcome not in {
        Certification.Outcome.ADJUDICATION,
        Certification.Outcome.REVISION,
    }:
        raise ValidationError(_("This narrative no longer waits for a decision. Reload the page."))
    if outcome not in {Certification.Outcome.CERTIFIED, Certification.Outcome.REJECTED}:
        raise ValidationError(_("Decide to accept or to reject."))
    if outcome == Certification.Outcome.CERTIFIED and current.outcome != ADJUDICATION:
        raise ValidationError(_("Its scores are too low to accept. Revise the text instead."))
    if not reason.strip():
        raise ValidationError(_("Give the reason for your decision."))
    if adjudicator.pk in author_ids(current.version):
        raise ValidationError(_("You wrote part of this text, so another adjudicator must decide."))
    if outcome == Certification.Outcome.CERTIFIED and open_disputes(current.version):
        raise ValidationError(_("The reference diagnosis of this case is disputed. Settle that first."))
    Certification.objects.filter(pk=current.pk).update(is_current=False)
    decided = Certification.objects.create(
        study=current.study,
        version=current.version,
        policy=current.policy,
        outcome=outcome,
        scores_used=current.scores_used,
        evidence=current.evidence,
        adjudicator=adjudicator,
        reason=reason.strip(),
    )
    decided.ratings.set(current.ratings.all())
    record_event(
        actor=adjudicator,
        action=f"certification.{outcome}",
        subject=decided,
        detail={"version": str(current.version.public_id), "reason": reason.strip()},
    )
    return decided


def recompute(certification: Certification) -> Verdict:
    """The rule's verdict from the certification's own stored policy, ratings, disputes and version."""
    ratings = list(certification.ratings.order_by("pk").prefetch_related("scores"))
    evidence = certification.evidence
    disputed = [entry["diagnosis"] for entry in evidence["disputes"]]
    concluded = Conclusion(**evidence["conclusion"])
    authors = author_ids(certification.version)
    return decide(certification.policy.rule, _as_inputs(ratings), authors, disputed, concluded)


def live_ratings(study: Study, version: NarrativeVersion) -> list[Rating]:
    """The ratings that count: live and not replaced, of this very version, in a fixed order."""
    ratings = Rating.objects.live().filter(study=study, version=version)
    return list(ratings.order_by("pk").prefetch_related("scores"))


def live_scores(study: Study, version: NarrativeVersion) -> list[RatingScores]:
    """The same as the rule reads them: who gave which scores."""
    given: dict[tuple[int, int], dict[str, float | None]] = {}
    for rating, rater, dimension, value in LIVE_SCORES.rows(study=study.pk, version=version.pk):
        given.setdefault((rating, rater), {})[dimension] = value
    return [RatingScores(rater, scores) for (_rating, rater), scores in given.items()]


def open_disputes(version: NarrativeVersion) -> list[Dispute]:
    """What raters hold against the reference of the version's case, unsettled, the oldest first."""
    return OPEN_DISPUTES.rows(narrative=version.narrative_id)


def verdict_for(study: Study, version: NarrativeVersion, ratings: list[Rating], disputes: list[Dispute]) -> Verdict:
    return _decided(study, version, _as_inputs(ratings), disputes)


def _decided(study: Study, version: NarrativeVersion, given: list[RatingScores], disputes: list[Dispute]) -> Verdict:
    disputed = [dispute.diagnosis for dispute in disputes]
    return decide(study.policy.rule, given, author_ids(version), disputed, conclusion_of(version))


def conclusion_of(version: NarrativeVersion) -> Conclusion:
    return Conclusion(version.diagnosis, version.narrative.case.diagnosis)


def scores_used(ratings: list[Rating]) -> str:
    """What a verdict on these ratings has to name: first submissions alone, or informed ones too."""
    used = Certification.ScoresUsed
    return used.INFORMED if any(rating.informed for rating in ratings) else used.FIRST


def author_ids(version: NarrativeVersion) -> frozenset[int]:
    """Keys of the people who wrote any of this text: its author and those of its ancestors."""
    authors: set[int] = set()
    step: NarrativeVersion | None = version
    while step is not None:
        if step.author_id is not None:
            authors.add(step.author_id)
        step = step.parent
    return frozenset(authors)


def _as_inputs(ratings: list[Rating]) -> list[RatingScores]:
    return [RatingScores(r.rater_id, r.scores_by_dimension()) for r in ratings]


def _rests_on(certification: Certification, ratings: list[Rating], disputes: list[Dispute]) -> bool:
    """Whether it still stands: nothing new for an adjudicator's decision, nothing different for the rule's."""
    seen = (
        set(certification.ratings.values_list("pk", flat=True)),
        {entry["dispute"] for entry in certification.evidence["disputes"]},
    )
    now = {rating.pk for rating in ratings}, {str(dispute.public_id) for dispute in disputes}
    if certification.adjudicator_id is not None:
        return now[0] <= seen[0] and now[1] <= seen[1]
    return now == seen


def evidence_of(
    verdict: Verdict, ratings: list[Rating], disputes: list[Dispute], version: NarrativeVersion
) -> dict[str, Any]:
    return {
        "reasons": [asdict(reason) for reason in verdict.reasons],
        "means": dict(verdict.means),
        "counted": verdict.counted,
        "version_sha256": version.sha256,
        "conclusion": asdict(conclusion_of(version)),
        "ratings": [
            {"rating": str(r.public_id), "informed": r.informed, "scores": r.scores_by_dimension()} for r in ratings
        ],
        "disputes": [{"dispute": str(d.public_id), "diagnosis": d.diagnosis} for d in disputes],
    }
