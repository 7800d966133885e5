"""A random checkpoint, made once per test session, and the model row of it."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from django.conf import settings

from modelhub.models import ModelVersion
from modelhub.services.models import register_base
from tests.ml.random_checkpoint import make_checkpoint


@cache
def checkpoint(seed: int) -> Path:
    return make_checkpoint(Path(mkdtemp(prefix="checkpoint-", dir=settings.VAR_DIR)), seed=seed)


def make_base(name: str = "Random base", *, seed: int = 0, synthetic: bool = False) -> ModelVersion:
    return register_base(name=name, path=checkpoint(seed), actor=None, synthetic=synthetic)


SHORT = {"do_sample": False, "max_new_tokens": 12, "batch_size": 2}
