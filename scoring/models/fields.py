"""The public id: random, so that it tells neither time, nor order, nor content."""

import uuid

from django.db import models


class PublicIdModel(models.Model):
    """A row that pages and exports name by a random id, never by its key."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)

    class Meta:
        abstract = True
