"""The web application, loaded whole before the first request: gunicorn forks its workers from it (``--preload``)."""

import os
from pathlib import Path

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "annotator.settings")
application = get_wsgi_application()


def load_pages() -> None:
    """Addresses with their views, and the templates that raters wait for: a second's work on the first page else."""
    from django.conf import settings
    from django.template.loader import get_template
    from django.urls import get_resolver

    assert get_resolver().url_patterns
    for folder in ("components", "rating"):
        for path in sorted((Path(settings.BASE_DIR) / "templates" / folder).rglob("*.html")):
            get_template(str(path.relative_to(settings.BASE_DIR / "templates")))


load_pages()
