"""The leaderboard: models measured the same way, as a worker stored it; people's and papers' figures apart."""

import uuid
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _

from modelhub.models import Leaderboard
from modelhub.published import REPORTED
from modelhub.views.access import staff_page
from modelhub.views.leaderboard_csv import leaderboard_lines
from modelhub.views.leaderboard_rows import Board, read_board, series_choices
from modelhub.views.leaderboard_words import flag_words, methods
from modelhub.views.results import OVERALL, Figure, figure, row_names
from scoring.rubric import DIMENSION_KEYS

FAILED_SHOWN = 50


@staff_page
def leaderboard(request: HttpRequest) -> HttpResponse:
    """One leaderboard, chosen by ``board``, ordered and compared by the series ``of``."""
    boards = list(
        Leaderboard.objects.select_related("dataset", "evaluator__rubric", "prompt").defer("machine", "people")
    )
    chosen = _chosen(boards, request.GET.get("board", ""))
    context: dict[str, Any] = {"boards": boards, "chosen": chosen, "reported": REPORTED}
    if chosen is not None and chosen.machine:
        choices = series_choices(chosen.machine)
        asked = request.GET.get("of", OVERALL)
        board = read_board(chosen.machine, asked if asked in dict(choices) else OVERALL)
        context |= {"board": board, "series": choices, "methods": methods(chosen)}
        context |= _machine_context(chosen.machine, board) | _people_context(chosen.people or {}, board)
    return render(request, "modelhub/leaderboard.html", context)


@staff_page
def leaderboard_csv(request: HttpRequest, public_id: uuid.UUID) -> StreamingHttpResponse:
    """Every figure as a line of CSV."""
    found = Leaderboard.objects.select_related("dataset").exclude(machine=None)
    board = get_object_or_404(found, public_id=public_id)
    response = StreamingHttpResponse(leaderboard_lines(board), content_type="text/csv; charset=utf-8")
    name = f"{board.dataset}-leaderboard-{str(public_id)[:8]}.csv".replace(" ", "-")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _chosen(boards: list[Leaderboard], public_id: str) -> Leaderboard | None:
    """The one asked for, else the newest that is computed. Raises ``Http404`` for one that does not exist."""
    if public_id:
        asked = next((board for board in boards if str(board.public_id) == public_id), None)
        if asked is None:
            raise Http404("There is no such leaderboard.")
        return asked
    return next((board for board in boards if board.computed_at), next(iter(boards), None))


def _machine_context(machine: dict[str, Any], board: Board) -> dict[str, Any]:
    names = {model["model"]: model["name"] for model in machine["models"]}
    failures = [{**failure, "name": names[failure["model"]]} for failure in machine["failures"]]
    return {
        "machine": machine,
        "slopes": {
            name: Figure(slope["n"], slope["slope"], slope["low"], slope["high"], slope["reason"])
            for name, slope in machine["length"].items()
        },
        "columns": [(key, row_names()[key]) for key, _ in (board.rows[0].cells if board.rows else ())],
        "flags": [(model["name"], flag_words(model["flags"])) for model in machine["models"] if model["flags"]],
        "decodings": len({model["decoding"] for model in machine["models"]}),
        "failures": failures[:FAILED_SHOWN],
        "failed_total": len(failures),
    }


def _people_context(people: dict[str, Any], board: Board) -> dict[str, Any]:
    keys = (OVERALL, *DIMENSION_KEYS)
    rated = [{"model": model, "cells": [figure(model, key) for key in keys]} for model in people.get("ratings", [])]
    name = _("overall") if board.key == OVERALL else board.name
    asked = [question for question in people.get("preferences", []) if question["question"] == board.key]
    return {
        "rated": rated,
        "corrected": [_corrected(model, board) for model in people.get("corrected", [])],
        "rated_columns": [row_names()[key] for key in keys],
        "preferences": asked,
        "asked_name": name,
    }


def _corrected(model: dict[str, Any], board: Board) -> dict[str, Any]:
    """The question asked, or the mean of six where it is another."""
    found = model["dimensions"].get(board.key, model[OVERALL])
    return {"name": model["name"], **found, "figure": _plain(found)}


def _plain(found: dict[str, Any]) -> Figure:
    return Figure(found["n"], found["mean"], found["low"], found["high"], found["reason"])
