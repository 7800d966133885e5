"""A person with a browser that has no JavaScript: follows links, fills in the forms that a page really shows."""

import re
import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx

from tests.flows.studio import Studio


@dataclass
class Form:
    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    choices: dict[str, list[str]] = field(default_factory=dict)


class _FormReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None
        self._textarea: str | None = None
        self._select: str | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value if value is not None else "" for key, value in attrs}
        if tag == "form":
            self._open = Form(values.get("action", ""), values.get("method", "get").lower())
            self.forms.append(self._open)
        if self._open is None:
            return
        name = values.get("name", "")
        if tag == "input" and name:
            kind = values.get("type", "text")
            self._open.choices.setdefault(name, []).append(values.get("value", "on"))
            if kind in {"radio", "checkbox"} and "checked" not in values:
                return
            if kind not in {"submit", "file", "button", "image"}:
                self._open.fields.append((name, values.get("value", "on" if kind == "checkbox" else "")))
        elif tag == "textarea" and name:
            self._textarea, self._text = name, ""
        elif tag == "select" and name:
            self._select = name
            self._open.choices.setdefault(name, [])
        elif tag == "option" and self._select:
            self._open.choices[self._select].append(values.get("value", ""))
            if "selected" in values:
                self._open.fields.append((self._select, values.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        elif tag == "textarea" and self._textarea and self._open:
            text = self._text[1:] if self._text.startswith("\n") else self._text
            self._open.fields.append((self._textarea, text))
            self._textarea = None
        elif tag == "select" and self._select and self._open:
            chosen = self._open.choices[self._select]
            if chosen and self._select not in dict(self._open.fields):
                self._open.fields.append((self._select, chosen[0]))
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self._text += data


class Visitor:
    """One session over real HTTP. ``page`` is the last response."""

    def __init__(self, studio: Studio, username: str) -> None:
        self.http = httpx.Client(base_url=studio.address, follow_redirects=True, timeout=60)
        self.page = self.open("/accounts/login/")
        self.submit(username=username, password=studio.password(username))
        assert "sessionid" in "".join(self.http.cookies.keys()), self.page.text[:2000]

    def open(self, path: str) -> httpx.Response:
        self.page = self.http.get(path)
        assert self.page.status_code == 200, f"{path}: {self.page.status_code} {self.text[:1500]}"
        return self.page

    @property
    def text(self) -> str:
        """The page as a reader sees it: without tags, white space folded."""
        body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", self.page.text, flags=re.S)
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))

    def forms(self) -> list[Form]:
        reader = _FormReader()
        reader.feed(self.page.text)
        return reader.forms

    def form(self, *names: str, action: str = "") -> Form:
        """The page's first form with all these fields, whose action holds ``action``."""
        for form in self.forms():
            if set(names) <= set(form.choices) | {name for name, _ in form.fields} and action in form.action:
                if form.action.endswith(("logout/", "language/")) and action not in {"logout", "language"}:
                    continue  # both stand on every page
                return form
        raise AssertionError(f"No form with {names} and action {action!r} on {self.page.url}: {self.text[:1500]}")

    def submit(
        self, *, form: Form | None = None, files: Any = None, action: str = "", refusal: int = 200, **values: Any
    ) -> httpx.Response:
        """Send a form of the page with these values changed; ``refusal`` is a status that is all right."""
        form = form or self.form(*values, action=action)
        data: dict[str, Any] = {}
        for name, value in form.fields:
            if name not in values:
                data.setdefault(name, []).append(value)
        data |= {name: value for name, value in values.items() if value is not None}
        target = httpx.URL(str(self.page.url)).join(form.action) if form.action else self.page.url
        headers = {"Referer": str(self.page.url)}
        if form.method == "post":
            self.page = self.http.post(target, data=data, files=files, headers=headers)
        else:
            self.page = self.http.get(target, params=data, headers=headers)
        assert self.page.status_code in {200, refusal}, f"{target}: {self.page.status_code} {self.text[:2500]}"
        return self.page

    def links(self, pattern: str) -> list[str]:
        return [link for link in re.findall(r'href="([^"]+)"', self.page.text) if re.search(pattern, link)]

    def wait_for_run(self, seconds: float = 400) -> str:
        """Reload the run's page until it has ended; returns its state in words."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.open(str(self.page.url))
            found = re.search(r'run-state".*?<span class="badge[^"]*">([^<]+)</span>', self.page.text, re.S)
            assert found, f"no run on {self.page.url}: {self.text[:1500]}"
            if found[1] not in {"Queued", "Running"}:
                return found[1]
            time.sleep(0.3)
        raise AssertionError(f"the run did not end in {seconds} s: {self.text[:2000]}")
