"""Posting chat completions: time-outs, retries with back-off, and errors as sentences that never hold the key."""

import email.utils
import json
import logging
import random
import re
import threading
import time
from typing import Any

import httpx2

from modelhub.ml.backends.endpoint import EndpointSpec

logger = logging.getLogger(__name__)

AGAIN = {408, 409, 425, 429, 500, 502, 503, 504, 529}
UNAUTHORISED = {401, 403}
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
LONGEST_ASKED_WAIT_S = 300.0  # a server that asks for more has no quota left
MOST_REPLY_BYTES = 8_000_000
SILENT_IN_A_ROW = 8  # requests without a usable answer in spite of all attempts: the server is away
SHOWN = 200


class Refused(Exception):
    """The server understood and will not do it; asking again changes nothing. The message is a sentence."""


class Unreachable(Exception):
    """No usable answer in spite of all attempts. The message is a sentence."""


class Transport:
    """One server's connections; used by many threads."""

    def __init__(self, spec: EndpointSpec) -> None:
        self.spec = spec
        limits = httpx2.Limits(max_connections=spec.concurrency, max_keepalive_connections=spec.concurrency)
        timeout = httpx2.Timeout(spec.timeout_s, connect=min(30.0, spec.timeout_s), pool=None)
        # redirects are not followed: they could carry the key to another server
        self._client = httpx2.Client(limits=limits, timeout=timeout, trust_env=not spec.is_loopback)
        self._stopped = threading.Event()
        self._silent = 0
        self._unauthorised = ""
        self._limit_name = "max_tokens"

    def reopen(self) -> None:
        """For a new run: what an earlier one learnt about the server is forgotten."""
        self._stopped.clear()
        self._silent, self._unauthorised = 0, ""

    def stop(self) -> None:
        """End the waiting between attempts."""
        self._stopped.set()

    def close(self) -> None:
        self.stop()
        self._client.close()

    def post(self, body: dict[str, Any]) -> Any:
        """The decoded reply. Raises Refused or Unreachable."""
        problem = ""
        for attempt in range(self.spec.attempts):
            self._check()
            try:
                status, headers, content = self._send(body)
            except httpx2.HTTPError as error:
                problem, asked = words_of(error, self.spec.timeout_s), None
            else:
                if status == 200 and (reply := decoded(content)) is not None:
                    self._silent = 0
                    return reply
                problem, asked = self._judge(status, headers, content)
            if attempt + 1 < self.spec.attempts:
                logger.info("%s: %s Attempt %s follows.", self.spec.url, problem, attempt + 2)
                self._stopped.wait(wait_before(attempt, asked))
        self._silent += 1
        raise Unreachable(f"{problem} It was asked {self.spec.attempts} times.")

    def _check(self) -> None:
        if self._stopped.is_set():
            raise Unreachable("The run was stopped.")
        if self._unauthorised:
            raise Refused(self._unauthorised)
        if self._silent >= SILENT_IN_A_ROW:
            raise Unreachable(f"The server failed {self._silent} requests in a row and was not asked again.")

    def _send(self, body: dict[str, Any]) -> tuple[int, Any, bytes]:
        """Status, headers and content, all of it within the time-out however slowly it trickles."""
        key = self.spec.key()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        sent = {self._limit_name if name == "max_tokens" else name: value for name, value in body.items()}
        deadline, content = time.monotonic() + self.spec.timeout_s, bytearray()
        with self._client.stream("POST", f"{self.spec.url}/chat/completions", json=sent, headers=headers) as response:
            for chunk in response.iter_bytes():
                content += chunk
                if time.monotonic() > deadline:
                    raise httpx2.ReadTimeout("too slow")
                if len(content) > MOST_REPLY_BYTES:
                    raise httpx2.DecodingError("too long")
            return response.status_code, response.headers, bytes(content)

    def _judge(self, status: int, headers: Any, content: bytes) -> tuple[str, float | None]:
        """What is wrong, and how long the server asks to wait. Raises Refused where another attempt is of no use."""
        if status == 200:
            return "The server's answer is not JSON.", None
        said = self._said(content)
        if status in UNAUTHORISED:
            where = f"the environment variable {self.spec.key_variable}" if self.spec.key_variable else "a key variable"
            self._unauthorised = f"The server refused the key (status {status}). Check {where}."
            raise Refused(self._unauthorised)
        if status == 400 and "max_completion_tokens" in said and self._limit_name == "max_tokens":
            self._limit_name = "max_completion_tokens"  # newer commercial models know no other name
            return "The server calls the limit max_completion_tokens.", 0.0
        if status not in AGAIN:
            raise Refused(f"The server refused the request (status {status}){': ' + said if said else ''}.")
        asked = asked_wait(headers.get("retry-after"))
        if asked is not None and asked > LONGEST_ASKED_WAIT_S:
            raise Refused(f"The server asks to wait {asked:.0f} seconds (status {status}): its quota is used up.")
        return f"The server answered with status {status}.", asked

    def _said(self, content: bytes) -> str:
        """The server's own words, one line, without anything that looks like a key."""
        reply = decoded(content)
        error = reply.get("error", reply.get("message", reply.get("detail"))) if isinstance(reply, dict) else None
        message = error.get("message") if isinstance(error, dict) else error
        text = " ".join(str(message).split()) if isinstance(message, str) else ""
        if key := self.spec.key():
            text = text.replace(key, "[key]")
        return re.sub(r"\bsk-\S+", "[key]", text)[:SHOWN].rstrip(". ")


def decoded(content: bytes) -> Any:
    """None for what is not JSON."""
    try:
        return json.loads(content)
    except ValueError:
        return None


def wait_before(attempt: int, asked: float | None) -> float:
    """Seconds: what the server asks for, else twice as long each time; scattered: threads must not march in step."""
    if asked is not None:
        return asked + random.uniform(0, min(1.0, asked))
    return random.uniform(0.5, 1.0) * min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt)


def asked_wait(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks for: a number or a date."""
    if not header:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", header.strip()):
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None


def words_of(error: httpx2.HTTPError, timeout_s: float) -> str:
    if isinstance(error, httpx2.ConnectTimeout | httpx2.ConnectError):
        return "The server cannot be reached."
    if isinstance(error, httpx2.TimeoutException):
        return f"The server did not answer within {timeout_s:g} seconds."
    return f"The connection broke ({type(error).__name__})."
