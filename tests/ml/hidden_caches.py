"""A cache of hidden states, and how often it asks the backbone."""

from pathlib import Path
from typing import Any

from modelhub.ml.hidden_cache import HiddenCache
from modelhub.ml.loading import LoadedModel
from modelhub.ml.train_batches import Encoder


def cache_of(loaded: LoadedModel, folder: Path) -> HiddenCache:
    return HiddenCache(folder, loaded, Encoder(loaded.processor, loaded.tokenizer.eos_token_id))


def quiet(_done: int, _total: int) -> None:
    pass


class Passes:
    """Counts how often the backbone runs."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.count = 0
        loaded.model.qwen.model.register_forward_hook(self._seen)

    def _seen(self, *_: Any) -> None:
        self.count += 1
