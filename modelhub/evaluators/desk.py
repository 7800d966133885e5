"""A judge's desk: questions go out to its server, answers are stored before anyone reads them.

At most ``concurrency`` questions are out or unstored at any time, so a killed run repeats no more than those; an answer
that is stored is never asked for again, by no run. Threads speak to the server, this one alone to the database.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

from django.db.models import F, Sum

from modelhub.ml.backends.base import BackendError, Failure
from modelhub.ml.backends.chat_reply import Message, read_message
from modelhub.ml.backends.chat_transport import Refused, Transport, Unreachable
from modelhub.ml.backends.endpoint import EndpointSpec
from modelhub.models import EvaluatorVersion, JudgeReply, Run

POLL_S = 0.25
GRACE_S = 10.0  # for answers under way when a run is cancelled
AT_ONCE = 200  # questions whose stored answers are looked up together
LOST_IN_A_ROW = 4  # questions without an answer, each tried several times: it is the server and not the question
MILLION = Decimal(1_000_000)
SCHEMA_WORDS = ("response_format", "json_schema", "schema", "structured", "guided")


class JudgeStopped(Exception):
    """The run cannot go on now; what was answered is stored. The message says why and what to do."""


@dataclass(frozen=True)
class Question:
    """One call. ``body`` makes the request when it is sent; ``bound``: more tokens than it can cost; ``owner``: whoever
    asks, as he likes to be called."""

    key: str
    task: str
    token: str
    bound: int
    body: Callable[[], dict[str, Any]]
    owner: Any = None


@dataclass(frozen=True)
class Lost:
    """A question that got no answer; ``sentence`` says why."""

    sentence: str


Answer = JudgeReply | Lost
Sent = tuple[Message | Failure, float, bool]


class Desk:
    """One run's way to a judge: pool, rate limit and budget. ``tick`` may end the work by raising."""

    def __init__(
        self, *, evaluator: EvaluatorVersion, spec: EndpointSpec, run: Run | None, tick: Callable[[], None]
    ) -> None:
        self.evaluator, self.spec, self.run, self.tick = evaluator, spec, run, tick
        self.terms: Mapping[str, Any] = evaluator.terms
        self._transport = Transport(spec)
        self._plainly = False
        self._next_at = 0.0
        self._lost = 0
        self._spent = self._spent_before()

    def ask_all(self, questions: Iterable[Question]) -> Iterator[tuple[Question, Answer]]:
        """Each question with its answer, in the order of the answers. Raises ``JudgeStopped``."""
        self._transport.reopen()
        waiting: dict[Future[Sent], Question] = {}
        twins: dict[str, list[Question]] = {}
        pool = ThreadPoolExecutor(self.spec.concurrency, thread_name_prefix="judge")
        try:
            for question, stored in self._with_stored(questions):
                if stored is not None:
                    yield question, stored
                elif question.key in twins:
                    twins[question.key].append(question)
                else:
                    while not self._may_send(question, waiting):
                        yield from self._collect(waiting, twins)
                    twins[question.key] = [question]
                    waiting[pool.submit(self._ask, question)] = question
            while waiting:
                yield from self._collect(waiting, twins)
        finally:
            self._transport.stop()
            self._keep(waiting)
            pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        self._transport.close()

    def _with_stored(self, questions: Iterable[Question]) -> Iterator[tuple[Question, JudgeReply | None]]:
        for some in _in_batches(questions):
            found = {reply.key: reply for reply in JudgeReply.objects.filter(key__in=[one.key for one in some])}
            for question in some:
                # one that was asked since the look-up has been stored since
                stored = found.get(question.key) or JudgeReply.objects.filter(key=question.key).first()
                yield question, stored

    def _may_send(self, question: Question, waiting: Mapping[Future[Sent], Question]) -> bool:
        """Whether a place is free, its time has come and the budget bears it. Raises ``JudgeStopped``."""
        self.tick()
        if len(waiting) >= self.spec.concurrency:
            return False
        if reason := self._over_budget([question, *waiting.values()]):
            if waiting:
                return False
            raise JudgeStopped(reason)
        while (pause := self._next_at - time.monotonic()) > 0:
            self.tick()
            time.sleep(min(pause, POLL_S))
        if per_minute := self.terms.get("requests_per_minute"):
            self._next_at = time.monotonic() + 60 / per_minute
        return True

    def _ask(self, question: Question) -> Sent:
        """In a thread. A server that takes no schema is asked without one from then on."""
        began, plainly = time.monotonic(), self._plainly
        body = question.body()
        while True:
            if plainly:
                body.pop("response_format", None)
            try:
                reply = self._transport.post(body)
            except Refused as error:
                if "response_format" in body and any(word in str(error).lower() for word in SCHEMA_WORDS):
                    plainly = self._plainly = True
                    continue
                raise
            return read_message(question.key, reply), time.monotonic() - began, "response_format" not in body

    def _collect(
        self, waiting: dict[Future[Sent], Question], twins: dict[str, list[Question]]
    ) -> Iterator[tuple[Question, Answer]]:
        """What has come in, each answer stored before it is given out."""
        self.tick()
        done, _ = wait(waiting, timeout=POLL_S, return_when=FIRST_COMPLETED)
        answers = [(waiting[future], self._stored(waiting.pop(future), future)) for future in done]
        for question, answer in answers:
            yield from ((twin, answer) for twin in twins.pop(question.key))
        if self._lost >= LOST_IN_A_ROW:
            last = next(answer.sentence for _, answer in reversed(answers) if isinstance(answer, Lost))
            raise JudgeStopped(f"The judge's server gives no answers. {last} What it answered is stored; try again.")

    def _stored(self, question: Question, future: Future[Sent]) -> Answer:
        try:
            said, seconds, plainly = future.result()
        except BackendError as error:
            raise JudgeStopped(f"{error}") from error
        except (Refused, Unreachable, OSError, ValueError) as error:
            self._lost += 1
            return Lost(str(error))
        if isinstance(said, Failure) and said.kind != "refused":
            self._lost += 1
            return Lost(said.sentence)
        self._lost = 0
        reply, created = JudgeReply.objects.get_or_create(
            key=question.key,
            defaults={
                "evaluator": self.evaluator,
                "run": self.run,
                "task": question.task,
                "token": question.token,
                "seconds": seconds,
                "plainly": plainly,
                **self._said(said),
            },
        )
        if created:
            self._spend(reply, question)
        return reply

    def _keep(self, waiting: Mapping[Future[Sent], Question]) -> None:
        """Where the work ends early: what is under way is paid for, so it is waited for a little and stored."""
        under_way = [future for future in waiting if not future.cancel()]
        for future in wait(under_way, timeout=GRACE_S).done:
            with suppress(JudgeStopped):
                self._stored(waiting[future], future)

    def _said(self, said: Message | Failure) -> dict[str, Any]:
        if isinstance(said, Failure):
            return {"refusal": said.sentence}
        return {
            "text": f"<think>{said.reasoning}</think>{said.text}" if said.reasoning else said.text,
            "finish_reason": said.reason or "",
            "answering_model": said.answering_model or "",
            "prompt_tokens": said.prompt_tokens,
            "completion_tokens": said.completion_tokens,
            "cost": self._cost(said.prompt_tokens, said.completion_tokens),
        }

    def _cost(self, prompt: int | None, completion: int | None) -> Decimal | None:
        """US dollars; ``None`` where a price or a count is unknown."""
        prices = self.terms.get("usd_per_million_in"), self.terms.get("usd_per_million_out")
        if prompt is None or completion is None or None in prices:
            return None
        return (prompt * Decimal(str(prices[0])) + completion * Decimal(str(prices[1]))) / MILLION

    def _spent_before(self) -> dict[str, Decimal]:
        """By this run, on an earlier attempt."""
        replies = JudgeReply.objects.filter(run=self.run) if self.run else JudgeReply.objects.none()
        sums = replies.aggregate(usd=Sum("cost"), tokens=Sum(F("prompt_tokens") + F("completion_tokens")))
        return {name: Decimal(value or 0) for name, value in sums.items()}

    def _spend(self, reply: JudgeReply, question: Question) -> None:
        tokens = question.bound if reply.tokens is None else reply.tokens
        self._spent["tokens"] += tokens
        self._spent["usd"] += reply.cost if reply.cost is not None else self._dearest(tokens)

    def _dearest(self, tokens: int) -> Decimal:
        prices = [self.terms.get(name) or 0 for name in ("usd_per_million_in", "usd_per_million_out")]
        return tokens * Decimal(str(max(prices))) / MILLION

    def _over_budget(self, questions: list[Question]) -> str:
        """Why these can no longer be asked, in words; empty where the budget bears them even at their dearest."""
        tokens = sum(question.bound for question in questions)
        for name, more, shown in (("usd", self._dearest(tokens), "${:.4f}"), ("tokens", tokens, "{:,.0f} tokens")):
            limit = self.terms.get(f"budget_{name}")
            if limit is not None and self._spent[name] + more > Decimal(str(limit)):
                return (
                    f"The budget of {shown.format(Decimal(str(limit)))} a run is used up: "
                    f"{shown.format(self._spent[name])} spent, and the next answer could exceed it. What was answered "
                    "is stored. Raise the evaluator's budget and try again."
                )
        return ""


def _in_batches(questions: Iterable[Question]) -> Iterator[list[Question]]:
    waiting = iter(questions)
    while some := [*islice(waiting, AT_ONCE)]:
        yield some
