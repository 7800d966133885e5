"""Collects the texts of templates and Python files, merges them into the catalogues and compiles these.

Needs Babel, which only a developer's machine has: the compiled files are part of the repository.
"""

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.utils.translation.template import templatize

from scoring.narrative_format import STEP_KINDS
from scoring.rubric import CANNOT_JUDGE_REASONS

APPS = ("annotator", "modelhub", "scoring")
KEYWORDS: dict[str, tuple[Any, ...] | None] = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop", "Reason"), None),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), ((1, "c"), 2, 3)),
}
WIDTH = 120
CHANGING = (b'"POT-Creation', b'"PO-Revision', b'"Generated-By', b'"Last-Translator', b'"Report-Msgid')


def po_file(locale_dir: Path, locale: str) -> Path:
    return locale_dir / locale / "LC_MESSAGES" / "django.po"


def collect(root: Path) -> Any:
    """A Babel catalogue of every text marked for translation under ``root``, in the order of the files."""
    from babel.messages.catalog import Catalog

    found = Catalog(charset="utf-8")
    for place, text, context in _texts(root):
        found.add(text, locations=[(place, 0)], context=context)
    return found


def merge(found: Any, path: Path) -> Any:
    """The catalogue at ``path`` with exactly the texts found: kept translations, new gaps, nothing that is gone."""
    from babel.messages.pofile import read_po

    with path.open("rb") as file:
        kept = read_po(file)
    kept.update(found, no_fuzzy_matching=True)
    kept.obsolete.clear()
    return kept


def missing(catalogue: Any) -> list[str]:
    """Texts without a translation, or with one that Babel finds wrong (a lost placeholder)."""
    gaps = []
    for message in catalogue:
        if not message.id:
            continue
        if message.fuzzy or not all(_forms(message.string)):
            gaps.append(str(message.id))
        else:
            gaps += [f"{message.id}: {error}" for error in message.check(catalogue)]
    return gaps


def as_po(catalogue: Any) -> bytes:
    """The catalogue's file, without the header's dates: the same texts give the same bytes."""
    from babel.messages.pofile import write_po

    out = io.BytesIO()
    write_po(out, catalogue, width=WIDTH, sort_by_file=True, include_lineno=False)
    lines = out.getvalue().splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(CHANGING))


def as_mo(catalogue: Any) -> bytes:
    """The compiled file (GNU gettext's binary form, little-endian, no hash table); equal texts give equal bytes."""
    header = f"Content-Type: text/plain; charset=utf-8\nPlural-Forms: {catalogue.plural_forms}\n"
    pairs = {b"": header.encode()}
    for message in catalogue:
        if message.id and not message.fuzzy and all(_forms(message.string)):
            context = f"{message.context}\x04" if message.context else ""
            key = context + "\0".join(_forms(message.id))
            pairs[key.encode()] = "\0".join(_forms(message.string)).encode()
    keys = sorted(pairs)
    table, position = [], 28 + 16 * len(keys)
    for entry in [*keys, *(pairs[key] for key in keys)]:
        table += [len(entry), position]
        position += len(entry) + 1
    numbers = [0x950412DE, 0, len(keys), 28, 28 + 8 * len(keys), 0, 0, *table]
    texts = b"\0".join([*keys, *(pairs[key] for key in keys)]) + b"\0"
    return struct.pack(f"<{len(numbers)}I", *numbers) + texts


def _texts(root: Path) -> Iterator[tuple[str, Any, str | None]]:
    """Place, text (or singular and plural) and context of each marked text."""
    for app in APPS:
        for path in sorted((root / app).rglob("*.py")):
            if "migrations" not in path.parts:
                yield from _marked(path.read_bytes(), str(path.relative_to(root)))
    for path in sorted((root / "templates").rglob("*.html")):
        place = str(path.relative_to(root))
        # Django turns a template into something like Python; its indentation means nothing.
        lines = templatize(path.read_text(encoding="utf-8"), origin=place).splitlines()
        yield from _marked("\n".join(line.strip() for line in lines).encode(), place)
    for words in (STEP_KINDS.values(), CANNOT_JUDGE_REASONS.values()):  # pure modules mark nothing
        yield from (("scoring", text, None) for text in words)


def _marked(source: bytes, place: str) -> Iterator[tuple[str, Any, str | None]]:
    from babel.messages.extract import extract

    options = {"encoding": "utf-8"}
    for _, text, _, context in extract("python", io.BytesIO(source), keywords=KEYWORDS, options=options):
        yield place, text, context


def _forms(string: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(string) if isinstance(string, tuple | list) else (string or "",)
