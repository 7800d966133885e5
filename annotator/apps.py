from django.apps import AppConfig


class AnnotatorConfig(AppConfig):
    """Holds the management commands of the studio itself; it has no tables."""

    name = "annotator"
