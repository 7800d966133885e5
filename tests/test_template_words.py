"""Every word that a template shows goes through the catalogue: what stands bare would stay English in Chinese."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
NAMES = {"DermCoT", "DermBench", "DermCoT Studio", "SHA-256", "SHA256SUMS", "CSV", "JSONL", "Esc", "Ctrl ↵"}
HIDDEN = (
    r"\{#.*?#\}",
    r"\{% comment.*?endcomment %\}",
    r"\{% blocktranslate.*?endblocktranslate %\}",
    r"\{% block (main_class|body_class|title|submission) %\}[\w .-]*\{% endblock.*?%\}",
    r"\{[%{].*?[%}]\}",
    r"<(script|style|code|pre|svg)\b.*?</\1>",
    r"<[^>]*>",
    r"&\w+;",
)


def bare_words(text: str) -> list[str]:
    """Lines of a template's text that no tag translates, names of things left out."""
    for pattern in HIDDEN:
        text = re.sub(pattern, " | ", text, flags=re.DOTALL)
    parts = (part.strip(" \n·:;,.()+=−–") for part in re.split(r"[|\n]", text))
    return [part for part in parts if re.search(r"[A-Za-z]{3}", part) and part not in NAMES]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_word_stands_bare(path: Path) -> None:
    assert bare_words(path.read_text(encoding="utf-8")) == []


def test_a_bare_word_would_be_found() -> None:
    assert TEMPLATES
    page = (
        '<h1>{% translate "Runs" %}</h1> <p>Last results: {{ n }}</p> {% blocktranslate %}Fine{% endblocktranslate %}'
    )
    assert bare_words(page) == ["Last results"]
