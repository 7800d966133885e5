"""A language model as judge: with the case's reference text (the DermBench protocol) or without one."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings

from modelhub.evaluators.base import CannotEvaluate, EvaluationResult, Evaluator, Item, Outcome
from modelhub.evaluators.desk import Answer, Desk, JudgeStopped, Lost, Question
from modelhub.evaluators.prompts import (
    DIAGNOSIS,
    REFERENCE,
    Subject,
    call_token,
    fill,
    reply_schema,
    rubric_words,
)
from modelhub.evaluators.reply import FAILED, ReadDiagnosis, ReadScores, read_diagnosis, read_scores
from modelhub.ml.backends.base import BackendError
from modelhub.ml.backends.endpoint import EndpointSpec
from modelhub.ml.backends.inline_images import data_url
from modelhub.models import EvaluatorVersion, JudgeReply, Run
from modelhub.services.endpoints import STAYS, endpoint_spec
from scoring.digest import content_hash
from scoring.models import Case, NarrativeVersion
from scoring.rubric import DIMENSION_KEYS

READER = 1  # raised when the same answer would be read in another way
PICTURE_TOKENS = 4_000  # more than a picture within the bound costs anywhere we know
NOT_ASKED = ReadScores(dict.fromkeys(DIMENSION_KEYS), FAILED, problems=("no scores were asked for",))
NO_REFERENCE = "this judge compares with a reference text, and the case has none"


class JudgeEvaluator(Evaluator):
    """Asks an OpenAI-compatible server. ``row.identity`` holds protocol and settings; see ``register_judge``."""

    provider = "judge"

    def __init__(self, row: EvaluatorVersion) -> None:
        assert row.model is not None and row.prompt is not None  # a judge is registered with both
        self.row, self.name, self.model, self.prompt = row, row.name, row.model, row.prompt
        self.protocol: str = row.identity["protocol"]
        self.settings: Mapping[str, Any] = row.identity["settings"]
        self.needs_reference = self.protocol == REFERENCE
        self.judges_diagnosis = row.diagnosis_prompt is not None
        self.tasks = [self.protocol, *([DIAGNOSIS] if self.judges_diagnosis else [])]
        self._rubric = rubric_words(row.rubric.content, self.settings["language"])
        self._secret = hashlib.sha256(f"calls of judges\0{settings.SECRET_KEY}".encode()).digest()

    def identity(self) -> dict[str, Any]:
        return judge_identity(
            spec=endpoint_spec(self.model),
            protocol=self.protocol,
            settings=self.settings,
            prompt=self.prompt.content_hash,
            diagnosis_prompt=self.row.diagnosis_prompt.content_hash if self.row.diagnosis_prompt else None,
        )

    def refusal(self, case: Case) -> str | None:
        return STAYS if endpoint_spec(self.model).leaves_site and not case.source.may_leave_site else None

    def evaluate(self, version: NarrativeVersion, case: Case) -> EvaluationResult:
        ((_, outcome),) = self.evaluate_all([Item(version, case)])
        if isinstance(outcome, CannotEvaluate):
            raise outcome
        return outcome

    def diagnosis_right(self, version: NarrativeVersion, case: Case) -> bool | None:
        """As it was judged; nothing is asked."""
        judged = self.row.evaluations.filter(version=version).order_by("-pk")
        return judged.values_list("diagnosis_right", flat=True).first()

    def evaluate_all(
        self, items: Iterable[Item], *, run: Run | None = None, tick: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[Item, Outcome]]:
        """Raises ``JudgeStopped`` where the run cannot go on now."""
        refused: list[tuple[Item, Outcome]] = []
        waiting: dict[int, tuple[Item, dict[str, Answer]]] = {}
        for question, answer in self.ask_all(self._questions_of(items, waiting, refused), run=run, tick=tick):
            item, answers = waiting[question.owner]
            answers[question.task] = answer
            if len(answers) == len(self.tasks):
                del waiting[question.owner]
                yield item, self._outcome(answers)
            yield from drained(refused)
        yield from drained(refused)

    def ask_all(
        self, questions: Iterable[Question], *, run: Run | None, tick: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[Question, Answer]]:
        spec = endpoint_spec(self.model)
        if places := self.row.terms.get("concurrency"):
            spec = dataclasses.replace(spec, concurrency=places)
        try:
            spec.key()
        except BackendError as error:
            raise JudgeStopped(str(error)) from error
        desk = Desk(evaluator=self.row, spec=spec, run=run, tick=tick)
        try:
            yield from desk.ask_all(questions)
        finally:
            desk.close()

    def judge_diagnoses(
        self, items: Iterable[Item], *, run: Run | None = None, tick: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[Item, Outcome]]:
        """Asks for nothing else, and needs no reference text."""
        self.tasks, self.needs_reference = [DIAGNOSIS], False
        yield from super().judge_diagnoses(items, run=run, tick=tick)

    def question(
        self, task: str, subject: Subject, *, owner: Any, pictures: tuple[Path, ...] = (), repeat: int = 0
    ) -> Question:
        """One call about a subject. Its key covers everything that could change the answer, and which asking it is."""
        prompt = self.row.diagnosis_prompt if task == DIAGNOSIS else self.prompt
        assert prompt is not None
        token = call_token(self._secret, subject)
        words = fill(prompt.text, subject, token, self._rubric)
        key = content_hash(
            {
                "endpoint": endpoint_spec(self.model).digest,
                "task": task,
                "prompt": prompt.content_hash,
                "rubric": "" if task == DIAGNOSIS else self.row.rubric.content_hash,
                "settings": dict(self.settings),
                "subject": subject.content(),
                **({"repeat": repeat} if repeat else {}),
            }
        )
        bound = len(words.encode()) + self.settings["max_tokens"] + PICTURE_TOKENS * len(pictures)
        return Question(key, task, token, bound, lambda: self._body(task, words, token, pictures), owner)

    def _questions_of(
        self, items: Iterable[Item], waiting: dict[int, tuple[Item, dict[str, Answer]]], refused: list[Any]
    ) -> Iterator[Question]:
        for number, item in enumerate(items):
            if (reason := self.refusal(item.case)) or (self.needs_reference and not item.reference):
                refused.append((item, CannotEvaluate(f"Not asked: {reason or NO_REFERENCE}.")))
                continue
            waiting[number] = item, {}
            for task in self.tasks:
                yield self._about(task, item, number)

    def _about(self, task: str, item: Item, owner: int) -> Question:
        if task == DIAGNOSIS:
            labelled = Subject(item.version.text, label=item.case.diagnosis)
            return self.question(task, labelled, owner=owner, repeat=item.repeat)
        images = [*item.case.images.all()] if self.settings["images"] else []
        subject = Subject(
            item.version.text,
            reference=item.reference if self.needs_reference else "",
            images=tuple(image.sha256 for image in images),
        )
        pictures = tuple(Path(image.file.path) for image in images)
        return self.question(task, subject, owner=owner, pictures=pictures, repeat=item.repeat)

    def _body(self, task: str, words: str, token: str, pictures: tuple[Path, ...]) -> dict[str, Any]:
        content: Any = words  # a plain string is what every text model's server takes
        if pictures:
            shown = [{"type": "image_url", "image_url": {"url": data_url(path)}} for path in pictures]
            content = [*shown, {"type": "text", "text": words}]
        body: dict[str, Any] = {
            "model": endpoint_spec(self.model).model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": self.settings["max_tokens"],
        }
        if self.settings["temperature"] is not None:  # some commercial models take nothing but its absence
            body["temperature"] = self.settings["temperature"]
        if self.settings["schema"]:
            body["response_format"] = reply_schema(task, token)
        return body

    def _outcome(self, answers: Mapping[str, Answer]) -> Outcome:
        lost = next((answer for answer in answers.values() if isinstance(answer, Lost)), None)
        if lost is not None:
            return CannotEvaluate(f"The judge gave no answer. {lost.sentence}")
        replies = {task: answer for task, answer in answers.items() if isinstance(answer, JudgeReply)}
        scores = scores_in(replies[self.protocol]) if self.protocol in replies else NOT_ASKED
        diagnosis = diagnosis_in(replies[DIAGNOSIS]) if DIAGNOSIS in replies else None
        tokens, costs = ([getattr(reply, name) for reply in replies.values()] for name in ("tokens", "cost"))
        return EvaluationResult(
            scores=scores.scores,
            critique=scores.justification,
            parse_status=scores.status,
            problem="; ".join(scores.problems),
            diagnosis_right=diagnosis.correct if diagnosis else None,
            diagnosis_note=diagnosis_words(diagnosis),
            tokens=None if None in tokens else sum(tokens),
            cost=None if None in costs else sum(costs, Decimal()),
            seconds=sum(reply.seconds for reply in replies.values()),
        )


def judge_identity(
    *, spec: EndpointSpec, protocol: str, settings: Mapping[str, Any], prompt: str, diagnosis_prompt: str | None
) -> dict[str, Any]:
    """Everything but the rubric that could change a score."""
    return {
        "provider": JudgeEvaluator.provider,
        "protocol": protocol,
        "url": spec.url,
        "served_model": spec.model,
        "endpoint": spec.digest,
        "prompt": prompt,
        "diagnosis_prompt": diagnosis_prompt,
        "settings": dict(settings),
        "reader": READER,
    }


def scores_in(reply: JudgeReply) -> ReadScores:
    if reply.refusal:
        return ReadScores(dict.fromkeys(DIMENSION_KEYS), FAILED, problems=(reply.refusal,))
    return read_scores(reply.text, reply.token)


def diagnosis_in(reply: JudgeReply) -> ReadDiagnosis:
    return ReadDiagnosis(None, problem=reply.refusal) if reply.refusal else read_diagnosis(reply.text, reply.token)


def diagnosis_words(read: ReadDiagnosis | None) -> str:
    if read is None:
        return ""
    return f"{read.predicted}: {read.reason}" if read.correct is not None else f"Not read: {read.problem}"


def drained(found: list[Any]) -> Iterator[Any]:
    while found:
        yield found.pop(0)
