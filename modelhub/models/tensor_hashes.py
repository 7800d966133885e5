"""What a registered checkpoint's tensors are, one hash each, so that two models can be held side by side."""

from django.db import models

from modelhub.models.model_version import ModelVersion


class TensorHashes(models.Model):
    """``tensors``: name in the current key style → [type, shape, SHA-256 over type, shape and bytes].

    ``layout``: SHA-256 over the backbone's names and shapes; equal layouts can be compared tensor by tensor. A table of
    its own: a large model has a hundred kilobytes of it, which no list of models should read.
    """

    model = models.OneToOneField(ModelVersion, on_delete=models.CASCADE, related_name="tensor_hashes")
    layout = models.CharField(max_length=64, db_index=True)
    tensors = models.JSONField()

    def __str__(self) -> str:
        return f"Tensors of {self.model}"
