"""Raters as programs: one keep-alive connection each, taking cases, looking at their images, submitting.

To point the loop at another server write an adapter: a class with ``log_in``, ``next_case``, ``look`` and
``submit`` like ``WithoutScript`` below, and add it to ``ADAPTERS``.
"""

import gzip
import http.client
import json
import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode, urlsplit

DIMENSIONS = (
    "accuracy",
    "safety",
    "medical_groundedness",
    "clinical_coverage",
    "reasoning_coherence",
    "description_precision",
)
TIMEOUT_S = 60


@dataclass
class Case:
    """A case as the rater has it before her: its identity, what to send with the scores, its images' addresses."""

    key: str
    fields: dict[str, str]
    images: list[str]


class Adapter(Protocol):
    """One rater's way through a server; every method raises ``Refused`` or ``OSError`` when it fails."""

    def log_in(self) -> None: ...

    def next_case(self) -> Case | None:
        """The next case with its text, or ``None`` when nothing is left."""

    def look(self, case: Case) -> int:
        """Fetches the case's images; returns their bytes."""

    def submit(self, case: Case) -> Case | None:
        """Submits six scores; the next case where the answer brings it."""


class Refused(Exception):
    """An answer that a rater cannot go on with."""


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Browser:
    """Cookies, keep-alive and gzip, as any browser has them."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.address = address
        self.cookies: dict[str, str] = {}
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT_S)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        sent = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), "Accept-Encoding": "gzip"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self.connection.request(method, path, body, sent)
            got = self.connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.connection.close()  # an idle connection that the server closed: a browser opens another
            self.connection.request(method, path, body, sent)
            got = self.connection.getresponse()
        content = got.read()
        for line in got.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        if got.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        return Answer(got.status, got.headers, content)

    def get(self, path: str, **headers: str) -> Answer:
        """GET, redirects followed."""
        answer = self.ask("GET", path, None, **headers)
        while answer.status in {301, 302, 303}:
            answer = self.ask("GET", answer.headers["Location"], None, **headers)
        if answer.status != 200:
            raise Refused(f"GET {path}: {answer.status}")
        return answer

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        form = {"Content_Type": "application/x-www-form-urlencoded", "Referer": self.address + path}
        return self.ask("POST", path, urlencode(fields).encode(), **form | headers)


_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_FORM = re.compile(r'<form id="scores".*?action="([^"]+)"', re.S)
_UUID = re.compile(r'name="client_uuid" value="([^"]+)"')
_IMAGE = re.compile(r'<img src="(/cases/image/[^"]+)"')


class WithoutScript:
    """The studio as a browser without JavaScript uses it: the form is posted, the answer leads to the next page."""

    def __init__(self, address: str, username: str, password: str) -> None:
        self.browser = Browser(address)
        self.username, self.password = username, password
        self.seen: set[str] = set()

    def log_in(self) -> None:
        page = self.browser.get("/accounts/login/").text
        token = _TOKEN.search(page)
        fields = {"csrfmiddlewaretoken": token[1] if token else "", "username": self.username}
        answer = self.browser.post("/accounts/login/", fields | {"password": self.password})
        if answer.status != 302:
            raise Refused(f"log-in of {self.username}: {answer.status}")

    def next_case(self) -> Case | None:
        return self._read(self.browser.get("/rate/").text)

    def look(self, case: Case) -> int:
        fetched = 0
        for image in case.images:
            if image not in self.seen:
                self.seen.add(image)
                fetched += len(self.browser.get(image).body)
        return fetched

    def submit(self, case: Case) -> Case | None:
        answer = self.browser.post(case.key, case.fields | dict.fromkeys(DIMENSIONS, "4") | {"active_seconds": "40"})
        if answer.status == 302:
            return self._read(self.browser.get(answer.headers["Location"]).text)
        if answer.status != 200:
            raise Refused(f"POST {case.key}: {answer.status}")
        return None

    def _read(self, page: str) -> Case | None:
        form = _FORM.search(page)
        if form is None:
            return None
        token, identity = _TOKEN.search(page, form.start()), _UUID.search(page)
        fields = {"csrfmiddlewaretoken": token[1] if token else "", "client_uuid": identity[1] if identity else ""}
        return Case(form[1], fields, list(dict.fromkeys(_IMAGE.findall(page))))


class InPlace(WithoutScript):
    """The studio as its page uses it: submitting brings the case after the next, whose image is fetched early."""

    def __init__(self, address: str, username: str, password: str) -> None:
        super().__init__(address, username, password)
        self.token = ""
        self.ahead: Case | None = None

    def next_case(self) -> Case | None:
        case = super().next_case()
        if case is not None:
            self.token = case.fields["csrfmiddlewaretoken"]
            self.ahead = self._part(json.loads(self.browser.get(f"{case.key}ahead/", **SCRIPT).text)["ahead"])
        return case

    def submit(self, case: Case) -> Case | None:
        fields = case.fields | dict.fromkeys(DIMENSIONS, "4") | {"active_seconds": "40"}
        fields.pop("csrfmiddlewaretoken", None)
        fields["ahead"] = self.ahead.key.split("/")[2] if self.ahead else ""
        answer = self.browser.post(case.key, fields, X_CSRFToken=self.token, **SCRIPT)
        if answer.status != 200:
            raise Refused(f"POST {case.key}: {answer.status}")
        data = json.loads(answer.text)
        following = self._part(data.get("case")) or self.ahead
        self.ahead = self._part(data.get("ahead"))
        return None if "go" in data else following

    def _part(self, part: dict[str, str] | None) -> Case | None:
        return self._read(part["main"]) if part else None


SCRIPT = {"X_Requested_With": "fetch", "Accept": "application/json"}
ADAPTERS: dict[str, Callable[[str, str, str], Adapter]] = {"in-place": InPlace, "without-script": WithoutScript}


@dataclass
class Tally:
    """What the sessions of one cell did; times in milliseconds."""

    target: int
    next_ms: list[float] = field(default_factory=list)
    submit_ms: list[float] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    image_bytes: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_reached(self) -> bool:
        return len(self.acknowledged) >= self.target


def rate_until_reached(raters: list[Adapter], tally: Tally) -> float:
    """All raters at once, without thinking time, until the target is reached together; returns the seconds."""
    ready = threading.Barrier(len(raters) + 1)
    threads = [threading.Thread(target=_work, args=(rater, tally, ready), daemon=True) for rater in raters]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def _work(rater: Adapter, tally: Tally, ready: threading.Barrier) -> None:
    ready.wait()
    following: Case | None = None
    failures = 0
    while not tally.is_reached and failures < 20:
        try:
            case = following or _timed_next(rater, tally)
            if case is None:
                return
            following = None
            size = rater.look(case)
            following = _timed_submit(rater, case, tally, size)
        except (Refused, OSError, http.client.HTTPException) as problem:
            failures += 1
            with tally.lock:
                tally.errors.append(f"{type(problem).__name__}: {problem}")


def _timed_next(rater: Adapter, tally: Tally) -> Case | None:
    began = time.perf_counter()
    case = rater.next_case()
    with tally.lock:
        tally.next_ms.append(1000 * (time.perf_counter() - began))
    return case


def _timed_submit(rater: Adapter, case: Case, tally: Tally, size: int) -> Case | None:
    began = time.perf_counter()
    following = rater.submit(case)
    took = 1000 * (time.perf_counter() - began)
    with tally.lock:
        tally.submit_ms.append(took)
        if following is not None:
            tally.next_ms.append(took)  # the submission's answer brought the next case
        tally.acknowledged.append(case.key)
        if size:  # 0 where a case came again after an error
            tally.image_bytes.append(size)
    return following


def new_uuid() -> str:
    return str(uuid.uuid4())
