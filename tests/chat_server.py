"""A small OpenAI-compatible server for tests, in a thread: it answers as it is told and remembers what it was asked."""

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image


@dataclass
class Reply:
    """`delay_s` before the headers; `trickle_s` between two bytes of the body."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    trickle_s: float = 0.0


@dataclass(frozen=True)
class Asked:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def prompt(self) -> str:
        return str(self.body["messages"][-1]["content"][-1]["text"])

    @property
    def images(self) -> list[Image.Image]:
        parts = [part for part in self.body["messages"][-1]["content"] if part["type"] == "image_url"]
        contents = [base64.b64decode(part["image_url"]["url"].partition(",")[2]) for part in parts]
        return [Image.open(io.BytesIO(content)) for content in contents]


def chat(content: str | None = "<think>a</think><answer>b</answer>", reason: str = "stop", **message: Any) -> Reply:
    """A completion as servers send it."""
    said = {"role": "assistant", "content": content} | message
    body = {
        "id": "1",
        "object": "chat.completion",
        "model": "served-20260101",
        "choices": [{"index": 0, "message": said, "finish_reason": reason}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }
    return Reply(json.dumps(body).encode())


def error(status: int, message: str = "no", **headers: str) -> Reply:
    return Reply(json.dumps({"error": {"message": message}}).encode(), status, headers)


class ChatServer(ThreadingHTTPServer):
    """`answer` decides by the request and by how many came before it."""

    daemon_threads = True
    answer: Callable[[Asked, int], Reply]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Asked] = []
        self.under_way = self.most_under_way = 0
        self.lock = threading.Lock()
        self.answer = lambda asked, before: chat()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = Asked(self.path, dict(self.headers), body)
        with server.lock:
            before = len(server.asked)
            server.asked.append(asked)
            server.under_way += 1
            server.most_under_way = max(server.most_under_way, server.under_way)
        try:
            reply = server.answer(asked, before)
            time.sleep(reply.delay_s)
        finally:
            # Before the answer is sent: its receiver may ask again sooner than this thread goes on.
            with server.lock:
                server.under_way -= 1
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in ({"Content-Length": str(len(reply.body))} | reply.headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        step = 1 if reply.trickle_s else len(reply.body) or 1
        for start in range(0, len(reply.body), step):
            self.wfile.write(reply.body[start : start + step])
            time.sleep(reply.trickle_s)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    server = ChatServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
