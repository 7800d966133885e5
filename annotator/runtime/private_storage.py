"""Patients' images lie on disk, readable by the service only, and have no address of their own."""

from django.core.files.storage import FileSystemStorage
from django.utils.deconstruct import deconstructible


@deconstructible
class PrivateStorage(FileSystemStorage):
    """Files that only a view may hand out, after it has asked who is looking."""

    def url(self, name: str | None) -> str:
        raise ValueError(f"{name} is private and has no address; link to the view that serves it.")
