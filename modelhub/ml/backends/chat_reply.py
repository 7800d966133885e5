"""What a chat completion says, read strictly: a text, a text that was cut off, or a failure with the reason."""

import re
from typing import Any

from modelhub.ml.backends.base import Failure, Output, answer_end

THINK = re.compile(r"<think>", re.IGNORECASE)
WHOLE = {"stop", "eos", "end_turn", None}  # None: some servers leave it out
SHOWN = 200
NO_TEXT = "The server's answer holds no text (no choices). Look at the server's log."


def read_reply(request_id: str, reply: Any, seconds: float) -> Output | Failure:
    """`reply`: the decoded JSON. Reasoning that a server sends apart goes in front, in think tags."""
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
    text = content
    if isinstance(reasoning, str) and reasoning.strip() and not THINK.search(content):
        text = f"<think>{reasoning}</think>{content}"
    text = text[: answer_end(text)]
    usage = reply.get("usage") if isinstance(reply.get("usage"), dict) else {}
    details = {
        "finish_reason": reason,
        "prompt_tokens": whole(usage.get("prompt_tokens")),
        "answering_model": as_word(reply.get("model")),
        "system_fingerprint": as_word(reply.get("system_fingerprint")),
    }
    truncated = reason == "length" and answer_end(text) is None
    return Output(request_id, text, whole(usage.get("completion_tokens")), seconds, truncated, details)


def whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def as_word(value: Any) -> str | None:
    return value[:SHOWN] if isinstance(value, str) else None
