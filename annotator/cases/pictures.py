"""Handing out images, to those who may see their case."""

import uuid

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.fields.files import FieldFile
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from annotator.accounts.models import User
from annotator.accounts.roles import ADJUDICATOR, ADMINISTRATOR, RESEARCHER
from scoring.models import Assignment, CaseFlag, CaseImage, PairSlot, UrgentNotice

CACHE = "private, max-age=43200, immutable"


@require_safe
def image(request: HttpRequest, public_id: uuid.UUID) -> HttpResponseBase:
    row = _visible(request, public_id)
    return _served(request, row.file, row.media_type, f'"{public_id.hex}"')


@require_safe
def thumbnail(request: HttpRequest, public_id: uuid.UUID) -> HttpResponseBase:
    row = _visible(request, public_id)
    return _served(request, row.thumbnail, "image/jpeg", f'"{public_id.hex}-thumbnail"')


def images_for(user: User) -> QuerySet[CaseImage]:
    """Staff see all images; a dermatologist those she was given to rate or compare, or to answer an urgent notice of.

    A flag that pulls a case takes its images from raters at once.
    """
    if user.has_role(ADMINISTRATOR, ADJUDICATOR, RESEARCHER):
        return CaseImage.objects.all()
    if not user.is_dermatologist:
        return CaseImage.objects.none()
    hers = Assignment.objects.filter(case=OuterRef("case"), rater=user)
    compared = PairSlot.objects.filter(pair__case=OuterRef("case"), rater=user)
    asked = UrgentNotice.objects.filter(case=OuterRef("case"), clinician=user)
    pulled = CaseFlag.objects.filter(case=OuterRef("case"), resolved_at=None, kind__in=CaseFlag.PULLS)
    return CaseImage.objects.filter((Q(Exists(hers)) | Q(Exists(compared))) & ~Q(Exists(pulled)) | Q(Exists(asked)))


def _visible(request: HttpRequest, public_id: uuid.UUID) -> CaseImage:
    return get_object_or_404(images_for(request.user), public_id=public_id)  # type: ignore[arg-type]


def _served(request: HttpRequest, file: FieldFile, media_type: str, etag: str) -> HttpResponseBase:
    """The ETag is made from the random public id: one of the content would let raters recognise pictures."""
    response: HttpResponseBase | None = get_conditional_response(request, etag=etag)
    if response is None or response.status_code != 304:
        response = _whole(file, media_type)
    response["Cache-Control"] = CACHE
    response["ETag"] = etag
    return response


def _whole(file: FieldFile, media_type: str) -> FileResponse:
    try:
        stream = file.open("rb")
    except FileNotFoundError as error:
        raise Http404("The file of this image is missing from the storage.") from error
    name = "image.png" if media_type == "image/png" else "image.jpg"
    response = FileResponse(stream, content_type=media_type, filename=name)
    response["X-Content-Type-Options"] = "nosniff"
    return response
