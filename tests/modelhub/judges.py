"""Judges for tests: a server that answers as a judge would, and evaluators that ask it."""

import json
import re
from collections.abc import Callable
from typing import Any

from modelhub.models import EvaluatorVersion, ModelVersion
from modelhub.services.endpoints import register_endpoint
from modelhub.services.judges import register_judge
from scoring.rubric import DIMENSION_KEYS
from tests.chat_server import Asked, ChatServer, Reply, chat

CALL = re.compile(r'"call": "([0-9a-f]{16})"')
CANDIDATE = re.compile(r"===== CANDIDATE \w+ BEGINS =====\n(.*)\n===== CANDIDATE \w+ ENDS =====", re.DOTALL)


def asked_words(asked: Asked) -> str:
    content = asked.body["messages"][-1]["content"]
    return content if isinstance(content, str) else content[-1]["text"]


def candidate_in(asked: Asked) -> str:
    found = CANDIDATE.search(asked_words(asked))
    assert found, asked_words(asked)
    return found[1]


def call_in(asked: Asked) -> str:
    """The token as a judge reads it: the template's own, which stands last."""
    return CALL.findall(asked_words(asked))[-1]


def honest(score: Callable[[str], float | None]) -> Callable[[Asked, int], Reply]:
    """Scores by a function of the candidate; the right diagnosis is one that the candidate's end names."""

    def answer(asked: Asked, before: int) -> Reply:
        text, call = candidate_in(asked), call_in(asked)
        if "predicted_diagnosis" in asked_words(asked):
            label = re.search(r"The right diagnosis: (.*)", asked_words(asked))
            assert label
            right = label[1].lower() in text.lower()
            said: dict[str, Any] = {"call": call, "predicted_diagnosis": "it", "correct": right, "reason": "named"}
        else:
            said = {"call": call, "scores": dict.fromkeys(DIMENSION_KEYS, score(text)), "justification": "so"}
        return chat(json.dumps(said))

    return answer


def make_endpoint(server: ChatServer | None = None, **fields: Any) -> ModelVersion:
    url = server.url if server else "http://127.0.0.1:9/v1"
    values: dict[str, Any] = {"name": "Judge model", "url": url, "served_model": "judge", "actor": None, "family": ""}
    model = register_endpoint(**(values | {name: fields.pop(name) for name in [*fields] if name in values}))
    model.endpoint |= {"attempts": 1} | fields
    model.save()
    return model


def make_judge(server: ChatServer | None = None, **fields: Any) -> EvaluatorVersion:
    ways = {name: fields.pop(name) for name in ("attempts", "concurrency", "on_site") if name in fields}
    values: dict[str, Any] = {"name": "Judge", "protocol": "free", "actor": None}
    model = fields.pop("model", None) or make_endpoint(server, **ways)
    return register_judge(**(values | fields), model=model)
