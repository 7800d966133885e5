"""What a chat completion says, read strictly: a text, a text that was cut off, or a failure with the reason."""

import re
from dataclasses import dataclass
from typing import Any

from modelhub.ml.backends.base import Failure, Output, answer_end

THINK = re.compile(r"<think>", re.IGNORECASE)
WHOLE = {"stop", "eos", "end_turn", None}  # None: some servers leave it out
SHOWN = 200
NO_TEXT = "The server's answer holds no text (no choices). Look at the server's log."


@dataclass(frozen=True)
class Message:
    """``text`` as the server sent it; ``reasoning`` where it sends that apart. Token counts are None where unknown."""

    text: str
    reasoning: str
    reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    answering_model: str | None
    system_fingerprint: str | None


def read_reply(request_id: str, reply: Any, seconds: float) -> Output | Failure:
    """`reply`: the decoded JSON. Reasoning that a server sends apart goes in front, in think tags."""
    said = read_message(request_id, reply)
    if isinstance(said, Failure):
        return said
    text = said.text
    if said.reasoning and not THINK.search(text):
        text = f"<think>{said.reasoning}</think>{text}"
    text = text[: answer_end(text)]
    details = {
        "finish_reason": said.reason,
        "prompt_tokens": said.prompt_tokens,
        "answering_model": said.answering_model,
        "system_fingerprint": said.system_fingerprint,
    }
    truncated = said.reason == "length" and answer_end(text) is None
    return Output(request_id, text, said.completion_tokens, seconds, truncated, details)


def read_message(request_id: str, reply: Any) -> Message | Failure:
    """The first choice's message, whole."""
    try:
        choice = reply["choices"][0]
        message, reason = choice["message"], choice.get("finish_reason")
        content, refusal = message.get("content"), message.get("refusal")
        reasoning = message.get("reasoning_content") or message.get("reasoning")
    except (KeyError, IndexError, TypeError, AttributeError):
        return Failure(request_id, "server", NO_TEXT)
    if refusal:
        return Failure(request_id, "refused", f"The model declined: {str(refusal)[:SHOWN]}")
    if reason == "content_filter":
        return Failure(request_id, "refused", "The server's content filter withheld the text.")
    if reason not in WHOLE | {"length"}:
        return Failure(request_id, "server", f"The server ended the text for a reason not known here: {reason!s:.60}.")
    if not isinstance(content, str) or not content.strip():
        if reason == "length":
            return Failure(request_id, "server", "All tokens were used before an answer began. Allow more tokens.")
        return Failure(request_id, "server", "The server answered with an empty text.")
    usage = reply.get("usage") if isinstance(reply.get("usage"), dict) else {}
    return Message(
        text=content,
        reasoning=reasoning if isinstance(reasoning, str) and reasoning.strip() else "",
        reason=reason,
        prompt_tokens=whole(usage.get("prompt_tokens")),
        completion_tokens=whole(usage.get("completion_tokens")),
        answering_model=as_word(reply.get("model")),
        system_fingerprint=as_word(reply.get("system_fingerprint")),
    )


def whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def as_word(value: Any) -> str | None:
    return value[:SHOWN] if isinstance(value, str) else None
