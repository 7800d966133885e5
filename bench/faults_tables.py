"""What the scratch database holds of one case of hers, read beside the product."""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.ratings import Place

DRAFTS = """SELECT d.content FROM scoring_ratingdraft d JOIN scoring_assignment a ON a.id = d.assignment_id
WHERE a.public_id = :case"""
PAIR_DRAFTS = """SELECT d.content, s.first_is_left FROM scoring_pairdraft d JOIN scoring_pairslot s
ON s.pair_id = d.pair_id WHERE s.public_id = :case"""
RATINGS = """SELECT r.id, r.comment FROM scoring_rating r JOIN scoring_assignment a ON a.id = r.assignment_id
WHERE a.public_id = :case"""
SCORES = "SELECT dimension, value, comment FROM scoring_score WHERE rating_id = :rating"
MARKS = "SELECT step, error_type FROM scoring_mark WHERE rating_id = :rating"
VOTES = """SELECT p.id, p.comment FROM scoring_preference p JOIN scoring_pairslot s ON s.id = p.slot_id
WHERE s.public_id = :case"""
CHOICES = "SELECT dimension, choice FROM scoring_preferencechoice WHERE preference_id = :vote"
REVISIONS = """SELECT v.text FROM scoring_narrativeversion v JOIN scoring_assignment a ON v.parent_id = a.version_id
WHERE a.public_id = :case"""
DOUBLE = """SELECT count(*) FROM (SELECT 1 FROM scoring_rating WHERE is_current GROUP BY version_id, rater_id, study_id
HAVING count(*) > 1) UNION ALL SELECT count(*) FROM (SELECT 1 FROM scoring_preference p JOIN scoring_pairslot s
ON s.id = p.slot_id GROUP BY s.pair_id, p.rater_id HAVING count(*) > 1)"""
MIRRORED = {"left": "right", "right": "left"}


@dataclass
class Tables:
    """Of an installation on SQLite. ``case``: the public id of her slot, of a text or of a pair."""

    place: Place

    def draft(self, case: str) -> dict[str, str]:
        """What the server keeps of what she has not sent, by field, sides as she sees them."""
        for (content,) in self._rows(DRAFTS, case=UUID(case).hex):
            return dict(json.loads(content)["fields"])
        for content, first_is_left in self._rows(PAIR_DRAFTS, case=UUID(case).hex):
            fields = dict(json.loads(content)["fields"])
            return fields if first_is_left else {name: MIRRORED.get(str(v), str(v)) for name, v in fields.items()}
        return {}

    def sent(self, case: str) -> tuple[int, dict[str, str]]:
        """How many ratings or votes her slot has, all that were ever stored; and what the last one holds, by field."""
        ratings = self._rows(RATINGS, case=UUID(case).hex)
        votes = self._rows(VOTES, case=UUID(case).hex)
        if not ratings and not votes:
            return 0, {}
        last, comment = (ratings or votes)[-1]
        found = {"comment": comment}
        for dimension, choice in self._rows(CHOICES, vote=last) if votes else ():
            found[dimension] = choice
        for dimension, value, words in self._rows(SCORES, rating=last) if ratings else ():
            found |= {dimension: f"{value:g}", f"{dimension}_comment": words}
        for step, error_type in self._rows(MARKS, rating=last) if ratings else ():
            found[f"mark-{step}"] = error_type
        return len(ratings) + len(votes), found

    def revisions(self, case: str) -> list[str]:
        return [text for (text,) in self._rows(REVISIONS, case=UUID(case).hex)]

    def doubles(self) -> int:
        """Raters with two ratings that count of one text, or two votes on one pair, anywhere."""
        return sum(number for (number,) in self._rows(DOUBLE))

    def forget_sessions(self) -> None:
        self._rows("DELETE FROM django_session")

    def _rows(self, statement: str, **values: Any) -> list[Any]:
        path = Path(self.place.env["DERMCOT_VAR"]) / "db.sqlite3"
        with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as database:
            return database.execute(statement, values).fetchall()
