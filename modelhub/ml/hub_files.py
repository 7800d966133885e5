"""Models on the Hugging Face hub: which one, and its files on this machine. Only weights, JSON and tokenizer files."""

import re
from dataclasses import dataclass
from pathlib import Path

from modelhub.ml.checkpoint_files import CheckpointError

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
REVISION = re.compile(r"[\w.][\w./-]*")
SHA256 = re.compile(r"[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{40}")
WANTED = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model", "merges.txt", "vocab.txt", "SHA256SUMS", "*.sha256"]
ELSEWHERE = (
    "Fetch it on a machine that does (`hf download {id} --revision {revision} --local-dir FOLDER`), copy the folder to "
    "this one and give its path instead of the id"
)


@dataclass(frozen=True)
class HubModel:
    """A model on the hub. A `revision` that is no commit hash is resolved to one before anything is read."""

    id: str
    revision: str = "main"

    def __post_init__(self) -> None:
        if not HUB_ID.fullmatch(self.id) or ".." in self.id:
            raise ValueError(f"{self.id!r} is no hub id (like organisation/model)")
        if not REVISION.fullmatch(self.revision) or ".." in self.revision:
            raise ValueError(f"{self.revision!r} is no revision (a commit hash, a branch or a tag)")


def parse_source(text: str) -> Path | HubModel:
    """A folder's path, or `organisation/model[@revision]` where no such folder exists."""
    if Path(text).exists():
        return Path(text)
    name, _, revision = text.partition("@")
    if HUB_ID.fullmatch(name):
        return HubModel(name, revision) if revision else HubModel(name)
    return Path(text)


def fetch(model: HubModel, *, cache: Path | None = None, endpoint: str | None = None) -> tuple[Path, str]:
    """Folder of the model's files and the commit they are of; what the hub's cache holds is not fetched again.

    Raises CheckpointError that says what to do where the hub does not know the model or cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    named = f"{model.id} at revision {model.revision}"
    try:
        found = snapshot_download(
            model.id,
            revision=model.revision,
            cache_dir=cache,
            endpoint=endpoint,
            allow_patterns=WANTED,
            ignore_patterns=["*/*"],
        )
    except GatedRepoError as error:
        raise CheckpointError(
            f"{named} asks for consent: give it on the model's page and set HF_TOKEN to your token"
        ) from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(
            f"the hub knows no {model.id}, or shows it to few: check the id, or set HF_TOKEN to your token"
        ) from error
    except RevisionNotFoundError as error:
        raise CheckpointError(f"{model.id} has no revision {model.revision}") from error
    except Exception as error:  # no network, a proxy, a switched-off hub, a full disk: one library error class each
        advice = ELSEWHERE.format(id=model.id, revision=model.revision)
        reason = f"this machine does not reach the files of {named} ({type(error).__name__})"
        raise CheckpointError(f"{reason}. {advice}") from error
    folder = Path(found)
    if not COMMIT.fullmatch(folder.name):
        raise CheckpointError(f"the hub gave no commit hash for {named}, but {folder.name}")
    return folder, folder.name


def hashes_of_the_hub(folder: Path) -> dict[str, str]:
    """File name → SHA-256 that the hub gave for it, where the folder is a snapshot in the hub's cache: its large files
    are links to blobs of that name."""
    links = {path.name: path.readlink().name for path in folder.iterdir() if path.is_symlink()}
    return {name: blob for name, blob in links.items() if SHA256.fullmatch(blob)}
