"""Comparisons: two arms, their pairs and slots, and the words that must not be seen in them."""

import random
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from scoring.identity_words import hits
from scoring.models import Comparison, IdentityWord, NarrativeVersion, Pair, PairSlot, Study
from scoring.services.audit import record_event

LONGEST_WORD = 120


@transaction.atomic
def create_comparison(*, study: Study, actor: Any, **fields: Any) -> Comparison:
    """Two arms of a study, still without pairs. Raises ``ValidationError`` for arms that do not differ or exist."""
    comparison = Comparison(study=study, created_by=actor, **fields)
    comparison.full_clean()
    comparison.save()
    record_event(actor=actor, action="comparison.created", subject=comparison, detail=_terms(comparison))
    return comparison


@transaction.atomic
def set_reveal(*, comparison: Comparison, reveal: str, actor: Any) -> Comparison:
    """Let raters see which side was which, or no longer. Raises ``ValidationError`` for an unknown choice."""
    if reveal not in Comparison.Reveal.values:
        raise ValidationError(_("Choose when raters learn which text was which."))
    locked = Comparison.objects.select_for_update(of=("self",)).get(pk=comparison.pk)
    before, locked.reveal = locked.reveal, reveal
    locked.save(update_fields=["reveal"])
    detail = {"before": before, "after": reveal}
    record_event(actor=actor, action="comparison.reveal_changed", subject=locked, detail=detail)
    return locked


@transaction.atomic
def enqueue_pairs(
    *, comparison: Comparison, pairs: Iterable[tuple[NarrativeVersion, NarrativeVersion]], actor: Any
) -> int:
    """Make the overlap of slots for each new pair (first arm's version, second arm's); returns how many were new.

    A pair whose texts name their author is scrubbed or held back, as the comparison says. Raises
    ``ValidationError`` when the study is not running or paused, or two versions are not of one case and language.
    """
    study = comparison.study
    if study.state not in {Study.State.RUNNING, Study.State.PAUSED}:
        raise ValidationError(_("Start the study before adding pairs to it."))
    known = set(comparison.pairs.values_list("first", "second"))
    words = identity_words(study)
    made = 0
    for first, second in pairs:
        if (first.pk, second.pk) in known:
            continue
        if first.narrative.case_id != second.narrative.case_id:
            raise ValidationError(_("Only two texts about the same case can be compared."))
        if first.narrative.language != second.narrative.language:
            raise ValidationError(_("Only two texts in the same language can be compared."))
        known.add((first.pk, second.pk))
        pair = Pair(comparison=comparison, case=first.narrative.case, first=first, second=second)
        _look_for_words(pair, words)
        pair.save()
        PairSlot.objects.bulk_create(
            PairSlot(study=study, pair=pair, slot=slot, order_key=_order_key(study, pair, slot))
            for slot in range(1, comparison.overlap + 1)
        )
        made += 1
    if made:
        record_event(actor=actor, action="comparison.queued", subject=comparison, detail={"pairs": made})
    return made


def identity_words(study: Study) -> list[str]:
    return list(study.identity_words.values_list("word", flat=True))


@transaction.atomic
def push_identity_words(*, study: Study, words: Iterable[str], actor: Any) -> int:
    """Add words that must not be seen, and look through the waiting pairs again; returns how many were new.

    Raises ``ValidationError`` for a word that is longer than 120 characters or holds no two letters or figures.
    """
    fresh = sorted({" ".join(word.split()) for word in words} - set(identity_words(study)) - {""})
    for word in fresh:
        if len(word) > LONGEST_WORD or not hits(word, [word]):
            raise ValidationError(
                _("“%(word)s” cannot be looked for. Give a word or name."), params={"word": word[:80]}
            )
    IdentityWord.objects.bulk_create(IdentityWord(study=study, word=word) for word in fresh)
    if fresh:
        record_event(actor=actor, action="study.identity_words_added", subject=study, detail={"words": fresh})
        _look_again(study)
    return len(fresh)


@transaction.atomic
def remove_identity_word(*, study: Study, word: str, actor: Any) -> None:
    """Take a word off the list. Raises ``ValidationError`` when it does not stand there."""
    if not study.identity_words.filter(word=word).delete()[0]:
        raise ValidationError(_("“%(word)s” is not on the list."), params={"word": word})
    record_event(actor=actor, action="study.identity_word_removed", subject=study, detail={"word": word})
    _look_again(study)


@transaction.atomic
def clear_pair(*, pair: Pair, actor: Any) -> Pair:
    """Let a held-back pair pass; its words are still replaced. Raises ``ValidationError`` unless it is held back."""
    return _settle(pair, Pair.State.OPEN, actor, cleared=True)


@transaction.atomic
def withdraw_pair(*, pair: Pair, actor: Any) -> Pair:
    """Take a held-back pair out for good. Raises ``ValidationError`` unless it is held back."""
    return _settle(pair, Pair.State.WITHDRAWN, actor, cleared=False)


def _settle(pair: Pair, state: str, actor: Any, *, cleared: bool) -> Pair:
    locked = Pair.objects.select_for_update(of=("self",)).get(pk=pair.pk)
    if locked.state != Pair.State.FLAGGED:
        raise ValidationError(_("This pair is not held back any more. Reload the page."))
    locked.state, locked.cleared = state, cleared
    locked.save(update_fields=["state", "cleared"])
    record_event(actor=actor, action=f"pair.{state}", subject=locked, detail={"hits": locked.hits})
    return locked


def _look_again(study: Study) -> None:
    words = identity_words(study)
    waiting = Pair.objects.filter(comparison__study=study).exclude(state=Pair.State.WITHDRAWN)
    for pair in waiting.select_related("comparison", "first", "second").select_for_update(of=("self",)):
        before = (pair.state, pair.hits)
        _look_for_words(pair, words)
        if (pair.state, pair.hits) != before:
            pair.save(update_fields=["state", "hits"])


def _look_for_words(pair: Pair, words: list[str]) -> None:
    found = {side: hits(version.text, words) for side, version in (("first", pair.first), ("second", pair.second))}
    pair.hits = {side: texts for side, texts in found.items() if texts}
    held_back = pair.hits and not pair.cleared and pair.comparison.on_identity == Comparison.OnIdentity.FLAG
    pair.state = Pair.State.FLAGGED if held_back else Pair.State.OPEN


def _order_key(study: Study, pair: Pair, slot: int) -> int:
    return random.Random(f"{study.seed}:{pair.public_id}:{slot}").getrandbits(62)


def _terms(comparison: Comparison) -> dict[str, Any]:
    names = ("first_arm", "second_arm", "overlap", "reveal", "on_identity")
    return {name: getattr(comparison, name) for name in names}
