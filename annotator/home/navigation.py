"""The navigation of each role, in the field's words. A page that does not exist yet is left out."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from annotator.accounts.roles import ADJUDICATOR, ADMINISTRATOR, DERMATOLOGIST, RESEARCHER

STAFF = (ADMINISTRATOR, RESEARCHER)
ENTRIES: tuple[tuple[str | Promise, str, tuple[str, ...]], ...] = (
    (_("Rate"), "rating:next", (DERMATOLOGIST,)),
    (_("Preferences"), "preferences:next", (DERMATOLOGIST,)),
    (_("My work"), "rating:mine", (DERMATOLOGIST,)),
    (_("Dashboard"), "dashboard", STAFF),
    (_("Cases"), "cases:list", STAFF),
    (_("Narratives"), "narratives:list", STAFF),
    (_("Study"), "study:list", STAFF),
    (_("Review"), "review:list", (ADJUDICATOR, ADMINISTRATOR)),
    (_("Models"), "modelhub:model_list", STAFF),
    (_("Runs"), "modelhub:run_list", STAFF),
    ("DermCoT", "modelhub:dermcot", STAFF),
    ("DermBench", "modelhub:dermbench", STAFF),
    (_("Compare"), "modelhub:compare", STAFF),
    (_("Preferences"), "comparisons:list", STAFF),
)
# Pages that are reached from an entry but do not lie below its address.
BELOW = {"modelhub:dermbench": ("modelhub:leaderboard", "modelhub:evaluator_list", "modelhub:classification")}


@dataclass(frozen=True)
class Entry:
    label: str
    url: str
    is_current: bool


def entries_for(request: HttpRequest) -> list[Entry]:
    """The user's entries, each once, the one whose address begins the current path marked."""
    user = request.user
    if not user.is_authenticated:
        return []
    found = [(str(label), name, _url(name)) for label, name, roles in ENTRIES if user.has_role(*roles)]
    reachable = [(label, name, url) for label, name, url in found if url]
    begins = {
        start: name for _, name, _ in reachable for start in map(_url, (name, *BELOW.get(name, ()))) if start
    }  # addresses that begin the pages of an entry
    longest = max((start for start in begins if request.path.startswith(start)), key=len, default="")
    return [Entry(label, url, name == begins.get(longest)) for label, name, url in reachable]


def navigation(request: HttpRequest) -> dict[str, list[Entry]]:
    """Context processor: `nav_entries` for the base template."""
    return {"nav_entries": entries_for(request) if hasattr(request, "user") else []}


def _url(name: str) -> str | None:
    try:
        return reverse(name)
    except NoReverseMatch:
        return None
