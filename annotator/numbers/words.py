"""What the agreement page calls its figures, and why one of them may be missing."""

from typing import Any

from django.utils.translation import gettext_lazy as _

STATISTICS: dict[str, tuple[Any, Any]] = {
    "alpha": (_("Krippendorff's α"), _("ordinal; beyond chance; 1 is full agreement, 0 is chance")),
    "ac2": (_("Gwet's AC2"), _("quadratic weights; beyond chance; stays meaningful near the ceiling")),
    "kappa": (_("Weighted κ"), _("quadratic; mean over pairs of raters who share at least 30 narratives")),
    "icc_1": (_("ICC, one rater"), _("absolute agreement of a single score, from variance components")),
    "icc_k": (_("ICC, mean"), _("absolute agreement of the mean of as many raters as scored a narrative")),
    "within_one": (_("Within one"), _("share of pairs of scores at most one level apart; not corrected for chance")),
}
REASONS: dict[str, Any] = {
    "no_pair": _("undefined: no narrative has two scores yet"),
    "no_spread": _("undefined: every score is the same level, so nothing can be told from chance"),
    "few_pairs": _("undefined: no two raters share 30 narratives yet"),
    "one_case": _("no interval: all narratives belong to one case"),
    "unstable": _("no interval: too many resamples of the cases have no value"),
    "all_alike": _("no interval: every resample of the cases gives the same value"),
    "few_texts": _("fewer than 20 shared narratives"),
}
OVERALL_NAME = _("Mean of the six")
