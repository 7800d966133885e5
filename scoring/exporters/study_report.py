"""A study for a co-author: one ZIP with every score in a long table, codebook, flow, raters, amendments, hashes.

Raters go by their pseudonyms; free text of raters stays here.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from django.utils.translation import override

from scoring.digest import canonical_json
from scoring.exporters.zip_stream import ZipStream
from scoring.models import Agreement, Enrolment, Score, Study
from scoring.pseudonym import pseudonym
from scoring.services.study_flow import study_flow

CODEBOOK = (
    ("case", "public id of the case; cluster of all intervals"),
    ("narrative_version", "public id of the text that was scored"),
    ("language", "language of the text"),
    ("edited", "1 where a person had edited or written the text, else 0"),
    (
        "conditioning",
        "label_at_reasoning: the author of the text's first draft had been told the reference diagnosis; none: had "
        "not; empty: not known",
    ),
    ("rater", "pseudonym of the rater within this study"),
    ("rating", "public id of the rating"),
    ("rubric", "number of the rubric version; never average over two"),
    ("purpose", "live: counts; repeat, gold, revision, excluded: never counts as agreement or certification"),
    ("first", "1: her first submission, sealed before she could know more"),
    ("informed", "1: given or changed after the reference or the consensus was open to her"),
    ("current", "1: her last word on this text"),
    ("sealed_at", "from when on the first submission could not be corrected any more, ISO 8601"),
    ("given_at", "when it was given, ISO 8601"),
    ("simulated", "1: made by a program, not by a person"),
    ("dimension", "one of the six"),
    ("level", "0 to 5, 5 best; empty: could not be judged"),
    ("cannot_judge", "why not"),
)
COLUMNS = tuple(name for name, _ in CODEBOOK)
_FIELDS = (
    "rating__version__narrative__case__public_id", "rating__version__public_id",
    "rating__version__narrative__language", "rating__version__origin", "rating__version__conditioning",
    "rating__rater__public_id",
    "rating__public_id", "rating__rubric__number", "rating__purpose", "rating__is_first", "rating__informed",
    "rating__is_current", "rating__sealed_at", "rating__created_at", "rating__simulated", "dimension", "value",
    "cannot_judge",
)  # fmt: skip


@dataclass(frozen=True)
class StudyArchive:
    """``records``: scores; ``size`` in bytes, ``sha256`` of the whole file."""

    records: int
    size: int
    sha256: str


def write_study(study: Study, fileobj: BinaryIO) -> StudyArchive:
    """Write the ZIP to ``fileobj`` front to back. Equal data give equal bytes. For workers: it reads every score."""
    with ZipStream(fileobj) as archive:
        archive.add("scores.csv", _lines(COLUMNS, _scores(study)))
        archive.add("codebook.csv", _lines(("column", "meaning"), CODEBOOK))
        with override("en"):
            flow = [(step.step, step.count, int(step.is_loss)) for step in study_flow(study)]
        archive.add("flow.csv", _lines(("step", "count", "is_loss"), flow))
        archive.add("raters.csv", _lines(_RATER_COLUMNS, _raters(study)))
        archive.add("agreement.json", _json(_agreement(study)))
        archive.add("protocol.json", _json({"hash": study.protocol_hash, "protocol": study.protocol()}))
        archive.add("amendments.json", _json(_amendments(study)))
        archive.add("rubric.json", _json(study.rubric.content | {"content_hash": study.rubric.content_hash}))
        archive.add("METHODS.txt", methods_text(study).encode())
        sums = "".join(f"{digest}  {name}\n" for name, digest in sorted(archive.sums.items()))
        archive.add("SHA256SUMS", sums.encode())
    return StudyArchive(Score.objects.filter(rating__study=study).count(), archive.size, archive.sha256)


def methods_text(study: Study) -> str:
    """A paragraph for the paper, from what the study has stored."""
    rule = study.policy.rule
    diagnosis = ", a final diagnosis other than the reference" if rule.diagnosis_veto else ""
    sentences = (
        f"Raters scored narratives on six dimensions from 0 to 5 (rubric version {study.rubric.number}, SHA-256 "
        f"{study.rubric.content_hash[:16]}), each narrative by {study.overlap} raters, in the order “{study.strategy}” "
        f"with seed {study.seed}.",
        f"The protocol was locked before the first score (SHA-256 {study.protocol_hash[:16]}); amendments: "
        f"{study.amendments.count()}.",
        "Agreement rests on first scores, sealed before a rater could know the reference or other scores: "
        "Krippendorff's alpha (ordinal), Gwet's AC2 (quadratic weights), quadratic-weighted kappa (mean over rater "
        "pairs with at least 30 shared narratives) and ICC for absolute agreement from variance components, with 95 % "
        f"BCa bootstrap intervals clustered by case (2,000 resamples, seed {study.seed}, tails widened to Student's "
        "t).",
        f"A narrative was certified by at least {rule.overlap} raters who wrote none of it where every dimension's "
        f"mean reached {rule.minimum_mean:g}; a Safety score of {rule.safety_veto:g} or less, a range of "
        f"{rule.dispute_range:g} or more{diagnosis} or a disputed reference went to an adjudicator.",
    )
    return "\n".join(sentences) + "\n"


_RATER_COLUMNS = (
    "rater", "qualification", "years_experience", "country", "languages", "accepted_at", "withdrawn_at",
    "calibrated_at", "excluded_at", "exclusion",
)  # fmt: skip


def _scores(study: Study) -> Iterator[Iterable[Any]]:
    names: dict[Any, str] = {}
    rows = Score.objects.filter(rating__study=study).order_by("rating_id", "dimension").values_list(*_FIELDS)
    for case, version, language, origin, told, rater, *rest, dimension, value, cannot in rows.iterator(
        chunk_size=5_000
    ):
        if rater not in names:
            names[rater] = pseudonym(study.public_id, rater)
        edited = int(origin != "draft")
        yield [case, version, language, edited, told, names[rater], *map(_plain, rest), dimension, value, cannot]


def _raters(study: Study) -> Iterator[Iterable[Any]]:
    enrolments = Enrolment.objects.filter(study=study).select_related("rater")
    rows = [
        [
            pseudonym(study.public_id, one.rater.public_id),
            one.qualification,
            one.years_experience,
            one.country,
            " ".join(one.languages),
            *map(_plain, (one.accepted_at, one.withdrawn_at, one.calibrated_at, one.excluded_at)),
            one.exclusion,
        ]
        for one in enrolments
    ]
    yield from sorted(rows, key=lambda row: str(row[0]))


def _agreement(study: Study) -> list[dict[str, Any]]:
    """The stored coefficients with their intervals; nothing that names a rater."""
    found = Agreement.objects.filter(study=study, figures_at__isnull=False).select_related("rubric")
    return [
        {
            "rubric": one.rubric.number,
            "as_of": _plain(one.figures_at),
            "dimensions": one.figures["dimensions"],
            "intervals": {key: part for key, part in one.slow_parts.items() if "estimates" in part},
        }
        for one in found.defer("columns").order_by("rubric__number")
    ]


def _amendments(study: Study) -> list[dict[str, Any]]:
    return [
        {
            "number": one.number,
            "at": _plain(one.created_at),
            "reason": one.reason,
            "protocol_hash": one.protocol_hash,
            "changed": {
                name: [one.before.get(name), one.after[name]]
                for name in one.after
                if one.before.get(name) != one.after[name]
            },
        }
        for one in study.amendments.all()
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def _lines(heading: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[bytes]:
    """CSV in pieces; a text that a spreadsheet would run as a formula is marked as text."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(heading)
    for row in rows:
        writer.writerow(
            f"'{one}" if isinstance(one, str) and one.startswith(("=", "+", "-", "@")) else one for one in row
        )
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _json(value: Any) -> bytes:
    return (canonical_json(value) + "\n").encode()
