"""How one narrative came to be: by which model, with which words and settings."""

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext_lazy as _

from modelhub.models import Generation, ModelVersion
from modelhub.views.access import staff_page
from modelhub.views.run_bodies import setting_rows

IDENTITY_LABELS = {
    "backend": _("Backend"),
    "served_model": _("Model asked for"),
    "answering_model": _("Model that answered"),
    "system_fingerprint": _("The server's fingerprint"),
    "weights_sha256": _("Weights SHA-256"),
    "adapter_sha256": _("Adapter SHA-256"),
    "endpoint_sha256": _("Server SHA-256"),
    "bias_mode": _("Language bias as applied"),
    "precision": _("Precision"),
    "quantisation": _("Quantisation"),
    "attention": _("Attention"),
    "device": _("Device"),
}
TECHNICAL = {"identity", "details", "bias_mode"}


@staff_page
def generation_detail(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    related = ("run", "case", "model__base", "prompt", "version__narrative")
    generation = get_object_or_404(Generation.objects.select_related(*related), public_id=public_id)
    record: dict[str, Any] = generation.settings
    identity, details = record.get("identity", {}), record.get("details", {})
    known = identity | details
    context = {
        "generation": generation,
        "on_server": generation.model.kind == ModelVersion.Kind.ENDPOINT,
        "prompt_tokens": details.get("prompt_tokens"),
        "speed": speed(generation),
        "notes": identity.get("notes", []),
        "identity": [(label, known[name]) for name, label in IDENTITY_LABELS.items() if known.get(name)],
        "decoding": setting_rows({name: value for name, value in record.items() if name not in TECHNICAL}),
        "versions": sorted(identity.get("versions", {}).items()),
    }
    return render(request, "modelhub/generation_detail.html", context)


def speed(generation: Generation) -> float | None:
    """Tokens per second of the time in work; ``None`` where one of the two is unknown."""
    if not generation.tokens or not generation.seconds:
        return None
    return generation.tokens / generation.seconds
