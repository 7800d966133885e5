"""Stylesheets are written in parts, by noun, and travel as one file each."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from whitenoise.storage import CompressedManifestStaticFilesStorage

PART = re.compile(r'^@import url\("([\w/-]+\.css)"\);$', re.MULTILINE)


def joined(sheet: Path) -> str:
    """The sheet with its parts in place of their imports. Raises ``FileNotFoundError`` where one is missing."""
    return PART.sub(lambda part: joined(sheet.parent / part[1]), sheet.read_text(encoding="utf-8"))


class JoinedStyles(CompressedManifestStaticFilesStorage):
    def post_process(self, paths: dict[str, Any], *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Joins before the names are hashed: a sheet's name changes with its parts."""
        for name in paths:
            sheet = Path(self.path(name))
            if sheet.suffix == ".css" and (text := joined(sheet)) != sheet.read_text(encoding="utf-8"):
                sheet.write_text(text, encoding="utf-8")
                paths[name] = (self, name)
        yield from super().post_process(paths, *args, **kwargs)
