"""How a leaderboard was computed, in words for a paper, from what was stored with it; and what its flags mean."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from modelhub.models import Leaderboard
from modelhub.services.leaderboard_flags import CIRCULAR, FAMILY, ITSELF

FLAGS: dict[str, Promise] = {
    FAMILY: gettext_lazy("judged by its own family (%(detail)s)"),
    ITSELF: gettext_lazy("judged by itself or its base (%(detail)s)"),
    CIRCULAR: gettext_lazy("circular: the evaluator scored or wrote texts of %(detail)s, which it learnt from"),
}


def flag_words(flags: list[dict[str, str]]) -> list[str]:
    return [str(FLAGS[flag["kind"]]) % {"detail": flag["detail"]} for flag in flags]


def methods(board: Leaderboard) -> list[str]:
    """Paragraphs; every number in them is read from the stored figures."""
    machine, people = board.machine, board.people
    return [paragraph for paragraph in (_design(board, machine), _intervals(machine), _people(people)) if paragraph]


def _design(board: Leaderboard, machine: dict[str, Any]) -> str:
    models, failed = len(machine["models"]), sum(model["failed"] for model in machine["models"])
    expected = max((model["expected"] for model in machine["models"]), default=0)
    first = ngettext("%(count)s model", "%(count)s models", models) % {"count": models}
    return _(
        "%(models)s wrote about the %(cases)s cases of %(dataset)s (SHA-256 %(dataset_hash)s) to the prompt "
        "“%(prompt)s” (%(prompt_hash)s). %(evaluator)s (identity %(evaluator_hash)s) scored the texts on six "
        "dimensions from 0 to 5 under rubric %(rubric)s (%(rubric_hash)s); the mean of six is unweighted and needs all "
        "six. %(failed)s texts or scores failed; they are counted and listed, and no value was put in their place."
    ) % {
        "models": first,
        "cases": expected,
        "dataset": board.dataset,
        "dataset_hash": machine["hashes"]["dataset"][:12],
        "prompt": board.prompt,
        "prompt_hash": machine["hashes"]["prompt"][:12],
        "evaluator": board.evaluator.name,
        "evaluator_hash": machine["hashes"]["evaluator"][:12],
        "rubric": board.evaluator.rubric.number,
        "rubric_hash": machine["hashes"]["rubric"][:12],
        "failed": failed,
    }


def _intervals(machine: dict[str, Any]) -> str:
    method = machine["method"]
    return _(
        "Intervals of means are %(means)s. Every two models are compared over the cases that both have: %(pairs)s, "
        "%(resamples)s resamples, seed %(seed)s, the same draws for every pair. p-values are adjusted by Holm's method "
        "over all pairs (%(count)s) of each dimension and of the mean. Models that share a letter do not differ at an "
        "adjusted p of %(alpha)s; a range of ranks is what the proven differences leave open. The smallest difference "
        "found is for a power of 80 %%. The length slope is least squares with an effect per case, clustered alike."
    ) % {
        "means": method["means"],
        "pairs": method["pairs"],
        "resamples": f"{method['resamples']:,}",
        "seed": method["seed"],
        "alpha": method["alpha"],
        "count": len(machine["pairs"]),
    }


def _people(people: dict[str, Any] | None) -> str:
    if not people or not (people["ratings"] or people["preferences"]):
        return ""
    return _(
        "Ratings by people are sealed first scores of the same models' texts about the same cases under the same "
        "rubric; with %(raters)s raters or more, intervals are for other cases and other raters (crossed "
        "cluster-robust variances), with fewer for these raters only. Preferences are blind votes under Davidson's "
        "model of ties (“both bad” counts as a tie), intervals and ranks from %(resamples)s resamples of patients or "
        "lesions. They stand beside the evaluator's scores and are never mixed with them."
    ) % {"raters": people["fewest_raters"], "resamples": f"{people['resamples']:,}"}
