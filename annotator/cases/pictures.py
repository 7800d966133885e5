"""Handing out images, to those who may see their case."""

import uuid

from django.db.models import UUIDField
from django.db.models.fields.files import FieldFile
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from annotator.accounts.models import User
from annotator.accounts.roles import ADJUDICATOR, ADMINISTRATOR, RESEARCHER
from annotator.accounts.signed_in import user_of
from scoring.models import Assignment, CaseFlag, CaseImage, PairSlot, UrgentNotice
from scoring.prepared import Given, Prepared
from scoring.services.examples import is_example_for

IMAGE: Prepared[CaseImage] = Prepared(lambda: CaseImage.objects.filter(public_id=Given("public_id", UUIDField())))
ASSIGNED: Prepared[tuple[int]] = Prepared(
    lambda: Assignment.objects.filter(case=Given("case"), rater=Given("rater")).values_list("pk")[:1]
)
PULLED: Prepared[tuple[int]] = Prepared(
    lambda: CaseFlag.objects.filter(case=Given("case"), resolved_at=None, kind__in=CaseFlag.PULLS).values_list("pk")[:1]
)
CACHE = "private, max-age=43200, immutable"


@require_safe
def image(request: HttpRequest, public_id: uuid.UUID) -> HttpResponseBase:
    row = _visible(request, public_id)
    return _served(request, row.file, row.media_type, f'"{public_id.hex}"')


@require_safe
def thumbnail(request: HttpRequest, public_id: uuid.UUID) -> HttpResponseBase:
    row = _visible(request, public_id)
    return _served(request, row.thumbnail, "image/jpeg", f'"{public_id.hex}-thumbnail"')


def may_see(user: User, case_id: int) -> bool:
    """Staff see all images; a dermatologist what she was given to rate, compare or learn from, and her urgent notices.

    A flag that pulls a case takes its images from raters at once.
    """
    if user.has_role(ADMINISTRATOR, ADJUDICATOR, RESEARCHER):
        return True
    if not user.is_dermatologist:
        return False
    given = (
        ASSIGNED.first(case=case_id, rater=user.pk)
        or PairSlot.objects.filter(pair__case=case_id, rater=user).exists()
        or is_example_for(rater=user, case=case_id)
    )
    if given and not PULLED.first(case=case_id):
        return True
    return UrgentNotice.objects.filter(case=case_id, clinician=user).exists()


def _visible(request: HttpRequest, public_id: uuid.UUID) -> CaseImage:
    row = IMAGE.first(public_id=public_id)
    if row is None or not may_see(user_of(request), row.case_id):
        raise Http404("There is no such image for this person.")
    return row


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
