"""OpenAI-compatible servers for judging: one that answers by rule and makes a mess of it, one that echoes, and a real
language model. Standard library; torch and transformers only for the model."""

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from scoring.rubric import DIMENSION_KEYS

CALL = re.compile(r'"call": "([0-9a-f]{16})"')
CANDIDATE = re.compile(r"===== CANDIDATE \w+ BEGINS =====\n(.*)\n===== CANDIDATE \w+ ENDS =====", re.DOTALL)
Answer = Callable[[str], str]


class JudgeServer(ThreadingHTTPServer):
    """``calls``: the token of every request, in order of arrival."""

    daemon_threads = True

    def __init__(self, answer: Answer, delay_s: float) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.delay_s = answer, delay_s
        self.calls: list[str] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is what is measured."""


class Handler(BaseHTTPRequestHandler):
    server: JudgeServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][-1]["content"]
        with self.server.lock:
            self.server.calls.append(CALL.findall(prompt)[-1])
        time.sleep(self.server.delay_s)
        text = self.server.answer(prompt)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": len(prompt) // 4, "completion_tokens": len(text) // 4}
        content = json.dumps({"model": "bench", "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@contextmanager
def serving(answer: Answer, delay_s: float = 0.0) -> Iterator[JudgeServer]:
    server = JudgeServer(answer, delay_s)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def candidate_in(prompt: str) -> str:
    found = CANDIDATE.search(prompt)
    return found[1] if found else ""


def whole_prompt(prompt: str) -> str:
    return prompt


def messy(prompt: str) -> str:
    """Scores by the candidate's hash, in one of the ways in which models spoil an answer."""
    digest = hashlib.sha256(candidate_in(prompt).encode()).digest()
    scores: dict[str, Any] = {key: digest[number] % 11 / 2 for number, key in enumerate(DIMENSION_KEYS)}
    said: dict[str, Any] = {"call": CALL.findall(prompt)[-1], "scores": scores, "justification": "as the rubric says"}
    plain = json.dumps(said)
    ways: list[Callable[[], str]] = [
        lambda: plain,
        lambda: f"Here is my evaluation:\n```json\n{json.dumps(said, indent=2)}\n```\nLet me know!",
        lambda: f"<think>I would give {json.dumps(said | {'scores': dict.fromkeys(scores, 0)})}</think>{plain}",
        lambda: plain[: len(plain) // 2],
        lambda: json.dumps(said | {"scores": scores | {"safety": 45}}),
        lambda: json.dumps(said | {"scores": {key: f"{value}/5" for key, value in scores.items()}}),
        lambda: "\n".join(f"**{key}**: {value}/5" for key, value in scores.items()),
        lambda: f"{json.dumps({'scores': dict.fromkeys(scores, 5)})}\n{plain}\n{candidate_in(prompt)}",
    ]
    return ways[digest[-1] % len(ways)]()


class LanguageModel:
    """A real model that answers greedily, one question at a time: the shipped tiny one, or a folder's GGUF file."""

    def __init__(self, gguf: Path | None, *, most_tokens: int) -> None:
        self.most_tokens, self._lock = most_tokens, threading.Lock()
        self._write = self._from_gguf(gguf) if gguf else self._tiny()

    def __call__(self, prompt: str) -> str:
        with self._lock:
            return self._write(prompt) or "…"

    def _tiny(self) -> Answer:
        from modelhub.ml.backends.base import Failure, GenerationSettings, Request
        from modelhub.ml.backends.transformers import TransformersBackend
        from modelhub.ml.loading import LoadSpec, load

        backend = TransformersBackend(load(LoadSpec(Path("modelhub/ml/weights/tiny"))))
        settings = GenerationSettings(do_sample=False, max_new_tokens=self.most_tokens)

        def write(prompt: str) -> str:
            (said,) = backend.generate([Request("1", (), prompt)], settings)
            if isinstance(said, Failure):
                raise RuntimeError(said.sentence)
            return said.text

        return write

    def _from_gguf(self, path: Path) -> Answer:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        where: dict[str, Any] = {"gguf_file": path.name}
        tokenizer = AutoTokenizer.from_pretrained(path.parent, **where)
        model = AutoModelForCausalLM.from_pretrained(path.parent, dtype=torch.float32, **where).eval()

        def write(prompt: str) -> str:
            messages = [{"role": "user", "content": prompt}]
            ids = tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            with torch.inference_mode():
                written = model.generate(**ids, max_new_tokens=self.most_tokens, do_sample=False)
            return str(tokenizer.decode(written[0][ids["input_ids"].shape[1] :], skip_special_tokens=True))

        return write
