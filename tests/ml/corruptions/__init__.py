"""Ways to break a checkpoint or an adapter; importing this package fills `KINDS`."""

from tests.ml.corruptions import adapter, configuration, files, headers, index, manifest, tensors
from tests.ml.corruptions.kinds import KINDS

__all__ = ["KINDS", "adapter", "configuration", "files", "headers", "index", "manifest", "tensors"]
