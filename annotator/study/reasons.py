"""Why a narrative comes next, and why one finds no rater, in words."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from scoring.rubric import dimension_names
from scoring.strata import WORDS


def why_words(why: Mapping[str, Any]) -> str:
    """A slot's stored reason as a sentence; what people pushed to the front is said first."""
    words = _rule_words(why)
    if why.get("boost"):
        return _("Put first by an administrator or a correction (%(boost)s). %(words)s") % {
            "boost": why["boost"],
            "words": words,
        }
    return words


def _rule_words(why: Mapping[str, Any]) -> str:
    rule = why.get("rule", "")
    if rule == "quota":
        return _("%(by)s %(value)s: %(have)s %% of the ratings so far, %(percent)s %% wanted.") % {
            "by": _(WORDS[why["by"]]).capitalize(),
            "value": why["value"],
            "have": f"{why['have']:g}",
            "percent": f"{why['percent']:g}",
        }
    if rule == "disagreement":
        return _("Raters differ on %(dimension)s: from %(lowest)s to %(highest)s.") % {
            "dimension": dimension_names(get_language())[why["dimension"]],
            "lowest": f"{why['lowest']:g}",
            "highest": f"{why['highest']:g}",
        }
    if rule == "pushed":
        return _("Pushed down with %(value)s.") % {"value": f"{why['value']:g}"}
    plain = {
        "random": _("Random order."),
        "in_order": _("In the order added."),
        "quota_met": _("All its quotas are met."),
        "too_few_to_disagree": _("Fewer than two ratings: nothing to disagree about yet."),
        "agreed": _("Raters agree so far."),
        "not_pushed": _("Nothing was pushed down for it."),
        "replaces_excluded": _("In place of an excluded rater's."),
        "replaces_written": _("In place of a rater who wrote a text of her own."),
        "gold": _("Silent gold."),
        "repeat": _("Silent repeat."),
    }
    return plain.get(rule) or _("Not placed yet.")


def kept_words(reasons: Mapping[str, int]) -> str:
    """What keeps raters from a text: “2 have had it · 1 does not read its language”."""
    phrases = {
        "language": lambda n: ngettext("%(n)s does not read its language", "%(n)s do not read its language", n),
        "expertise": lambda n: ngettext("%(n)s lacks the expertise", "%(n)s lack the expertise", n),
        "skipped": lambda n: ngettext("%(n)s skipped it", "%(n)s skipped it", n),
        "had": lambda n: ngettext("%(n)s has had it", "%(n)s have had it", n),
        "wrote": lambda n: ngettext("%(n)s wrote part of it", "%(n)s wrote part of it", n),
        "crossed": lambda n: ngettext("%(n)s has another place in its case", "%(n)s have another place in its case", n),
    }
    said = [phrases[reason](n) % {"n": n} for reason, n in reasons.items()]
    return " · ".join(said) or _("nobody takes part yet")
