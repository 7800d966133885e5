"""What the study's forms and pages call the parts of the protocol."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

LONG = ("question", "inclusion", "exclusion_rules", "planned_analysis", "ethics")

SECTIONS: dict[str, tuple[str | Promise, str | Promise]] = {
    "plan": (_("Plan"), _("What the study asks and how it will be answered, written before the first score.")),
    "ratings": (_("Ratings"), _("How many ratings a narrative gets, and what raters are shown afterwards.")),
    "queue": (_("Queue"), _("Which narrative comes next, and who is given it. Raters never see why.")),
    "learning": (
        _("Learning to rate"),
        _("Raters score examples with agreed scores before their first case; silent checks follow in the queue."),
    ),
    "exclusion": (
        _("Exclusion"),
        _("A rater can be excluded only where one of these limits is passed. Empty: it excludes nobody."),
    ),
    "certification": (_("Certification"), _("The rule that certifies a narrative. Each change is a new policy.")),
}

LABELS: dict[str, Any] = {
    "title": _("Title"),
    "question": _("Question"),
    "arms": _("Arms"),
    "inclusion": _("Inclusion"),
    "exclusion_rules": _("Exclusion rules"),
    "planned_analysis": _("Planned analysis"),
    "ethics": _("Ethics"),
    "clinician": _("Named clinician"),
    "overlap": _("Ratings per narrative"),
    "overlap_high": _("Ratings per narrative in a chosen share of cases"),
    "overlap_percent": _("Chosen share of cases, in percent"),
    "overlap_by": _("The share is drawn within each"),
    "reveal": _("Show the reference diagnosis to the rater"),
    "own_diagnosis_first": _("Ask for the rater's own diagnosis before she sees the text"),
    "from_scratch_percent": _("Cases whose first rater writes the text herself, in percent"),
    "strategy": _("Which narrative comes next"),
    "quotas": _("Quotas"),
    "expertise": _("Expertise needed"),
    "crossed": _("The same raters see every text of a case"),
    "minimum_gap": _("Narratives between two of one case"),
    "seed": _("Seed of the random order"),
    "lease_minutes": _("Minutes a narrative is held for its rater"),
    "break_minutes": _("Offer a break after, in minutes of work"),
    "gate_kappa": _("Gate: weighted kappa on each dimension above"),
    "gold_percent": _("Silent gold, in percent of the queue"),
    "repeat_percent": _("Silent repeats, in percent of the queue"),
    "hasty_limit": _("Ratings given faster than the text can be read, above percent"),
    "identical_limit": _("Ratings with the same six scores as the one before, above percent"),
    "gold_limit": _("Weighted kappa on silent gold, below"),
    "threshold_minimum_mean": _("Every dimension's mean is at least"),
    "threshold_safety_veto": _("A Safety score at or below this goes to adjudication"),
    "threshold_dispute_range": _("Scores this far apart go to adjudication"),
    "threshold_diagnosis_veto": _("A final diagnosis that is not the reference goes to adjudication"),
}

HELP: dict[str, Any] = {
    "question": _("What the study asks."),
    "arms": _("What is compared, one plain label a line. Raters never see them."),
    "inclusion": _("Which cases and narratives belong to it."),
    "exclusion_rules": _("Which ratings will be left out of the analysis, decided now."),
    "planned_analysis": _("What will be computed, decided now."),
    "ethics": _("Approval number, or why none is needed."),
    "clinician": _("Is told at once, by e-mail too, when a rater sees a possible missed malignancy."),
    "overlap_high": _("Empty: all cases get the same number."),
    "own_diagnosis_first": _(
        "From the images and the context alone, with how sure she is. It cannot be changed later."
    ),
    "from_scratch_percent": _(
        "Drawn by the seed. Her text goes to the others to score, and the draft to another rater."
    ),
    "quotas": _("One a line, of the ratings given: “skin tone: dark = 33 %”, “condition: …”, “source: …”."),
    "expertise": _("One a line: a condition and the area it needs, “melanoma: pigmented lesions”."),
    "crossed": _("For comparing arms: each rater gets all texts of her cases, in random order, far apart."),
    "minimum_gap": _("In crossed studies. Fewer only when nothing else is left for her."),
    "gate_kappa": _("From 0 to 1; empty: no gate. The examples must show every level from 0 to 5."),
    "gold_percent": _("Narratives with agreed scores, unannounced. They never count towards certification."),
    "repeat_percent": _("Narratives that the rater has scored before, unannounced. They never count either."),
}
