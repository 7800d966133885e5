"""Handing out finished exports."""

import uuid

from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404

from modelhub.models import Artifact
from modelhub.views.access import staff_page


@staff_page
def artifact(request: HttpRequest, public_id: uuid.UUID) -> HttpResponseBase:
    found = get_object_or_404(Artifact, public_id=public_id)
    try:
        stream = found.file.open("rb")
    except FileNotFoundError as error:
        raise Http404("The file of this export is gone. Export the dataset again.") from error
    response = FileResponse(stream, as_attachment=True, filename=found.name)
    response["X-Content-SHA256"] = found.sha256
    return response
