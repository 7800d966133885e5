"""One stage of some drafts: the questions, the budget, the answers as rows."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.utils import timezone

from modelhub.drafting.leaks import (
    AGAINST_LABEL,
    HOLDING,
    Flag,
    Vocabulary,
    betrayals,
    speaks_of_caption,
)
from modelhub.drafting.reading import Unread, said, structured
from modelhub.drafting.recipe import CAPTION, NARRATIVE, REASONING, STAGES, fill, prompt_of
from modelhub.jobs.base import JobFailed, RunContext
from modelhub.jobs.writing import failure_words
from modelhub.ml.backends.base import Backend, Failure, GenerationSettings, Output, Request
from modelhub.models import Draft, DraftingRun, DraftStage, PromptVersion
from modelhub.services.endpoints import STAYS, leaves_site
from scoring.diagnosis import names_reference
from scoring.digest import content_hash
from scoring.narrative_format import parse

PICTURE_TOKENS = 4_000  # more than a picture within the bound costs anywhere we know
OUT_OF_BUDGET = (
    "The budget of {limit:,} tokens a try is used up: {spent:,} spent, and the next answer could exceed it. What was "
    "answered is stored. Try again to spend up to as much once more."
)


@dataclass(frozen=True)
class Question:
    """One call about a draft; ``bound``: more tokens than it can cost."""

    draft: Draft
    stage: str
    number: int
    prompt: PromptVersion
    asked: str
    key: str
    request: Request
    bound: int


class Desk:
    """Asks the backend of a drafting run and stores what it says."""

    def __init__(self, context: RunContext, asked: DraftingRun, backend: Backend, vocabulary: Vocabulary) -> None:
        self.context, self.asked, self.backend, self.vocabulary = context, asked, backend, vocabulary
        self.identity = backend.identity()
        self.settings = GenerationSettings(**{k: v for k, v in asked.settings.items() if k != "bias_mode"})
        self.abroad = leaves_site(asked.model)
        hashes = asked.manifest["prompts"]
        stored = {row.content_hash: row for row in PromptVersion.objects.filter(content_hash__in=hashes.values())}
        self.prompts = {
            key: stored[digest] for key, digest in hashes.items()
        }  # the recipe's, whatever the files say now
        self._spent = asked.tokens_spent() - asked.spent_before

    def ask(self, stage: str, drafts: list[Draft], stored: Callable[[], None]) -> None:
        """One answer for each draft that the budget bears. ``stored`` is called after each.

        Raises ``JobFailed`` where the budget bears none, ``Cancelled``, ``LeaseLost``.
        """
        questions = {one.request.id: one for draft in drafts if (one := self._question(stage, draft)) is not None}
        known = DraftStage.objects.answered([one.key for one in questions.values()])
        for answer in known:
            for question in [one for one in questions.values() if one.key == answer.key]:
                self._copy(questions.pop(question.request.id), answer)
                stored()
        waiting = self._within_budget([*questions.values()])
        if not waiting:
            return
        for result in self.backend.generate([one.request for one in waiting], self.settings, tick=self.context.check):
            self._store(questions[result.id], result)
            stored()

    def _question(self, stage: str, draft: Draft) -> Question | None:
        """``None`` where it may not be asked; the draft has failed then and says why."""
        stages = [*draft.stages.all()]
        if stage == CAPTION and self.abroad and not draft.case.source.may_leave_site:  # changed since it was asked for
            self._fail(draft, f"It was not sent: {STAYS}.")
            return None
        tries = [one for one in stages if one.kind == stage]
        after_leak = bool(tries) and tries[-1].state == DraftStage.State.LEAK
        prompt = self.prompts[prompt_of(stage, tells_label=self.asked.tells_label, after_leak=after_leak)]
        given = {one.kind: said(one.text) for one in stages if one.is_usable}
        words = fill(
            prompt.text,
            caption=given.get(CAPTION, ""),
            reasoning=given.get(REASONING, "") if stage == NARRATIVE else "",
            label=draft.case.diagnosis if stage == REASONING and self.asked.tells_label else "",
        )
        pictures = [*draft.case.images.all()] if stage == CAPTION else []
        number = 1 + max((one.number for one in tries), default=0)
        request_id = f"{draft.case.public_id}:{stage}:{number}"  # seeds the sampling
        content = {
            "recipe": {name: self.asked.manifest[name] for name in ("weights", "settings")},
            "asked": words,
            "images": [image.sha256 for image in pictures],
            "request": request_id,
        }
        bound = len(words.encode()) + self.settings.max_new_tokens + PICTURE_TOKENS * len(pictures)
        paths = tuple(Path(image.file.path) for image in pictures)
        request = Request(request_id, paths, words)
        return Question(draft, stage, number, prompt, words, content_hash(content), request, bound)

    def _within_budget(self, questions: list[Question]) -> list[Question]:
        """As many as the budget bears at their dearest, in order. Raises ``JobFailed`` where it bears none."""
        limit = self.asked.budget_tokens
        if limit is None:
            return questions
        left, borne = limit - self._spent, []
        for question in questions:
            left -= question.bound
            if left < 0:
                break
            borne.append(question)
        if questions and not borne:
            raise JobFailed(OUT_OF_BUDGET.format(limit=limit, spent=self._spent))
        return borne

    def _store(self, question: Question, result: Output | Failure) -> None:
        if isinstance(result, Failure):
            row = self._row(question, state=DraftStage.State.FAILED, error=failure_words(result))
        else:
            prompt_tokens = result.details.get("prompt_tokens")
            row = self._row(
                question,
                text=result.text.replace("\x00", ""),
                truncated=result.truncated,
                tokens=result.tokens,
                prompt_tokens=prompt_tokens,
                seconds=result.seconds,
            )
            known = result.tokens is not None and prompt_tokens is not None
            self._spent += result.tokens + prompt_tokens if known else question.bound  # type: ignore[operator]
        self._keep(question, row)

    def _copy(self, question: Question, answer: DraftStage) -> None:
        fields = ("text", "truncated", "tokens", "prompt_tokens", "seconds")
        row = self._row(question, copied_from=answer, **{name: getattr(answer, name) for name in fields})
        row.identity = answer.identity
        self._keep(question, row)

    def _row(self, question: Question, **fields: Any) -> DraftStage:
        row = DraftStage(
            draft=question.draft,
            kind=question.stage,
            number=question.number,
            prompt=question.prompt,
            asked=question.asked,
            key=question.key,
            identity=self.identity,
            **fields,
        )
        if not row.state:
            self._read(question, row)
        return row

    def _read(self, question: Question, row: DraftStage) -> None:
        """What the answer is worth, and its flags."""
        try:
            spoken = structured(row.text) if row.kind == NARRATIVE else said(row.text)
        except Unread as unread:
            row.state, row.error = DraftStage.State.FAILED, str(unread)
            return
        flags = self._flags(row.kind, spoken, question.draft.case.diagnosis)
        row.flags = [flag.as_dict() for flag in flags]
        holds = row.kind != REASONING and any(flag.kind in HOLDING for flag in flags)
        row.state = DraftStage.State.LEAK if holds else DraftStage.State.DONE

    def _flags(self, stage: str, text: str, reference: str) -> list[Flag]:
        if stage == CAPTION:
            return self.vocabulary.named(text, reference) + betrayals(text)
        flags = betrayals(text) + speaks_of_caption(text)
        if stage == NARRATIVE and self.asked.tells_label:
            stated = parse(text).diagnosis or ""
            if names_reference(stated, reference) is False:
                flags.append(Flag(AGAINST_LABEL, stated))
        return flags

    def _keep(self, question: Question, row: DraftStage) -> None:
        """The row, and what follows for its draft, in one transaction under the lease."""
        draft = question.draft
        with self.context.holding():
            row.save()
            if row.state == DraftStage.State.FAILED:
                draft.state, draft.error, draft.finished_at = Draft.State.FAILED, row.error, timezone.now()
                draft.save()
            elif row.state == DraftStage.State.LEAK and not self._may_retry(draft, row.kind):
                draft.state = Draft.State.LEAK
                draft.save()

    def _may_retry(self, draft: Draft, stage: str) -> bool:
        """A leak is asked about once more at most, whatever came of the tries before."""
        leaks = draft.stages.filter(kind=stage, state=DraftStage.State.LEAK).count()
        return self.asked.retry_leaks and leaks < 2

    def _fail(self, draft: Draft, why: str) -> None:
        with self.context.holding():
            draft.state, draft.error, draft.finished_at = Draft.State.FAILED, why, timezone.now()
            draft.save()


def stage_needed(draft: Draft) -> str | None:
    """The first stage that a draft has no usable answer for; ``None`` where it is through."""
    usable = {stage.kind for stage in draft.stages.all() if stage.is_usable}
    return next((stage for stage in STAGES if stage not in usable), None)


def narrative_in(stages: list[DraftStage]) -> str:
    """The finished narrative of a draft that is through its stages."""
    usable = [stage for stage in stages if stage.kind == NARRATIVE and stage.is_usable]
    return structured(usable[-1].text)
