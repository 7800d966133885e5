"""Models by hub id, against a small server that speaks as the hub does."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from modelhub.ml import hub_files
from modelhub.ml.checkpoint_files import CheckpointError, hash_file
from modelhub.ml.hub_files import HubModel, fetch, parse_source
from modelhub.ml.loading import LoadSpec, load

COMMIT = "0123456789abcdef0123456789abcdef01234567"
UNWANTED = ("README.md", "pytorch_model.bin", "evil.py", "onnx/model.safetensors")


class Hub(BaseHTTPRequestHandler):
    """One model, `lab/model`, at one commit; what was asked for is noted."""

    files: dict[str, bytes]
    asked: list[str]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].strip("/")
        self.asked.append(path)
        if not path.startswith(("api/models/lab/model", "lab/model")):
            self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif path in (f"api/models/lab/model/revision/{name}" for name in ("main", COMMIT)):
            self.answer(200, json.dumps({"id": "lab/model", "modelId": "lab/model", "sha": COMMIT}).encode())
        elif path.startswith("api/models/lab/model/revision/"):
            self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif path == f"api/models/lab/model/tree/{COMMIT}":
            rows = [self.row(name, content) for name, content in self.files.items()]
            self.answer(200, json.dumps(rows).encode())
        elif (name := path.removeprefix(f"lab/model/resolve/{COMMIT}/")) in self.files:
            digest = hashlib.sha256(self.files[name]).hexdigest()
            self.answer(200, self.files[name], {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT})
        else:
            self.answer(404, b"{}", {"X-Error-Code": "EntryNotFound"})

    @staticmethod
    def row(name: str, content: bytes) -> dict[str, object]:
        return {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

    def answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def hub(base: Path) -> Iterator[str]:
    Hub.files = {path.name: path.read_bytes() for path in base.iterdir()} | dict.fromkeys(UNWANTED, b"x")
    Hub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def test_a_branch_is_resolved_to_its_commit_and_only_what_is_read_is_fetched(
    hub: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, commit = fetch(HubModel("lab/model"), cache=tmp_path, endpoint=hub)
    assert commit == COMMIT
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not any(name in path for name in UNWANTED for path in Hub.asked)
    # from now on it is there, with or without a network
    assert fetch(HubModel("lab/model", COMMIT), cache=tmp_path, endpoint="http://127.0.0.1:9") == (folder, commit)

    monkeypatch.setattr("modelhub.ml.loading.fetch", lambda model: fetch(model, cache=tmp_path, endpoint=hub))
    identity = load(LoadSpec(HubModel("lab/model"))).identity
    assert (identity.revision, identity.weights_sha256) == (COMMIT, hash_file(base / "model.safetensors"))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (HubModel("lab/other"), "the hub knows no lab/other"),
        (HubModel("lab/model", "v9"), "lab/model has no revision v9"),
    ],
)
def test_what_the_hub_does_not_know_is_said(hub: str, tmp_path: Path, model: HubModel, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        fetch(model, cache=tmp_path, endpoint=hub)


def test_without_a_network_it_says_where_the_files_go(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not reach the files of lab/model at revision main") as caught:
        fetch(HubModel("lab/model"), cache=tmp_path, endpoint="http://127.0.0.1:9")
    assert "hf download lab/model --revision main --local-dir FOLDER" in str(caught.value)


def test_sources_are_folders_or_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_source(str(tmp_path)) == tmp_path
    assert parse_source("lab/model") == HubModel("lab/model")
    assert parse_source(f"lab/model@{COMMIT}") == HubModel("lab/model", COMMIT)
    assert parse_source("some/where/deep") == Path("some/where/deep")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab/model").mkdir(parents=True)
    assert parse_source("lab/model") == Path("lab/model")
    for bad in (("lab", "main"), ("../x/y", "main"), ("lab/..", "main"), ("lab/m", "../x"), ("lab/m", "")):
        with pytest.raises(ValueError, match=r"is no hub id|is no revision"):
            HubModel(*bad)
    assert not any("py" in pattern or "bin" in pattern for pattern in hub_files.WANTED)
