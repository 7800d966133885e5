"""Agreement of a study's raters: administrators by name, researchers by pseudonym; raters never see it."""

import csv
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from annotator.accounts.models import User
from annotator.accounts.roles import ADMINISTRATOR, RESEARCHER, role_required
from annotator.accounts.signed_in import user_of
from annotator.numbers.tables import CHARTED, chart_of, dimension_names, intervals_of, rater_rows, rows_of
from annotator.numbers.words import STATISTICS
from annotator.study.views import find_study
from modelhub.views.benchmark_csv import text_cell
from scoring.models import Agreement, Study
from scoring.pseudonym import pseudonym
from scoring.rubric import DIMENSION_KEYS, dimensions_in
from scoring.services.sealed_scores import rating_sets, waiting_for_the_seal

PARTS = ("agreement", "raters", "pairs")


@never_cache
@require_safe
@role_required(ADMINISTRATOR, RESEARCHER)
def agreement(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    study, now = find_study(public_id), timezone.now()
    name_of = _names(study, named=user_of(request).is_administrator)
    sealed = rating_sets(study, now)
    context = {
        "study": study,
        "shown": [_shown(one, name_of, sealed) for one in _stored(study)],
        "statistics": STATISTICS,
        "charted": [STATISTICS[key][0] for key in CHARTED],
        "dimensions": dimensions_in(request.LANGUAGE_CODE),
        "unsealed": waiting_for_the_seal(study, now),
        "named": user_of(request).is_administrator,
    }
    return render(request, "numbers/agreement.html", context)


@never_cache
@require_safe
@role_required(ADMINISTRATOR, RESEARCHER)
def agreement_file(request: HttpRequest, public_id: uuid.UUID, part: str) -> HttpResponse:
    """One of the page's tables as CSV; what is undefined is an empty field with its reason beside it."""
    study = find_study(public_id)
    lines = {"agreement": _agreement_lines, "raters": _rater_lines, "pairs": _pair_lines}.get(part)
    if lines is None:
        raise Http404
    name_of = _names(study, named=user_of(request).is_administrator)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{part}.csv"'
    writer = csv.writer(response)
    for number, line in enumerate(line for one in _stored(study) for line in lines(one, name_of)):
        if number == 0 or line[0] != "rubric":  # one heading
            writer.writerow([text_cell(value) for value in line])
    return response


def _stored(study: Study) -> list[Agreement]:
    rows = Agreement.objects.filter(study=study, figures_at__isnull=False, ratings__gt=0)
    return list(rows.select_related("rubric").defer("columns").order_by("-rubric__number"))


def _shown(one: Agreement, name_of: Callable[[int], str], sealed: dict[int, Any]) -> dict[str, Any]:
    rows = rows_of(one)
    total = sealed[one.rubric_id].ratings if one.rubric_id in sealed else 0
    return {
        "agreement": one,
        "rows": rows,
        "chart": chart_of(rows),
        "intervals": intervals_of(one),
        "raters": rater_rows(one, name_of),
        "pairs": [
            pair | {"first": name_of(pair["first"]), "second": name_of(pair["second"])} for pair in one.figures["pairs"]
        ],
        "counts": one.figures["counts"],
        "pending": total - one.ratings,
    }


def _names(study: Study, *, named: bool) -> Callable[[int], str]:
    """The name of a rater's key: her own for administrators, her pseudonym in this study for everybody else."""
    people = User.objects.filter(enrolments__study=study) | User.objects.filter(ratings__study=study)
    found = {
        person.pk: person.display_name if named else pseudonym(study.public_id, person.public_id)
        for person in people.distinct()
    }
    return lambda key: found.get(key, _("unknown"))


def _agreement_lines(one: Agreement, _name_of: Callable[[int], str]) -> Iterator[list[Any]]:
    yield [
        "rubric", "dimension", "statistic", "value", "low", "high", "scores", "narratives", "cases", "reason",
        "as_of", "interval_as_of", "interval_ratings", "resamples", "seed",
    ]  # fmt: skip
    names = dimension_names()
    for row in rows_of(one):
        part = one.slow_parts.get(row.key, {})
        behind = [part.get(key) for key in ("at", "ratings", "resamples", "seed")]
        for cell in row.cells:
            figures = [cell.value, cell.low, cell.high, cell.scores, cell.texts, cell.cases, str(cell.why_not)]
            yield [one.rubric.number, str(names[row.key]), cell.key, *figures, one.figures_at.isoformat(), *behind]  # type: ignore[union-attr]


def _rater_lines(one: Agreement, name_of: Callable[[int], str]) -> Iterator[list[Any]]:
    yield [
        "rubric", "rater", "ratings", "shared_narratives", "severity", "severity_low", "severity_high", "spread",
        "others_spread", "drift", "drift_low", "drift_high", "repeats", "repeat_kappa", "repeat_within_one",
        *(f"severity_{key}" for key in DIMENSION_KEYS),
    ]  # fmt: skip
    for row in rater_rows(one, name_of):
        overall = row["overall"] or {}
        severity, drift = overall.get("severity", {}), overall.get("drift", {})
        yield [
            one.rubric.number,
            row["name"],
            row["ratings"],
            overall.get("texts"),
            *(severity.get(key) for key in ("mean", "low", "high")),
            overall.get("spread"),
            overall.get("others_spread"),
            *(drift.get(key) for key in ("mean", "low", "high")),
            *row["repeats"].values(),
            *(cell["mean"] if cell else None for cell in row["severity"]),
        ]


def _pair_lines(one: Agreement, name_of: Callable[[int], str]) -> Iterator[list[Any]]:
    yield ["rubric", "first", "second", "shared_narratives", "kappa_of_the_mean"]
    for pair in one.figures["pairs"]:
        yield [one.rubric.number, name_of(pair["first"]), name_of(pair["second"]), pair["shared"], pair["kappa"]]
