"""Images go to those who may see their case, and say nothing on the way."""

import re
import uuid

import pytest
from django.urls import reverse

from annotator.accounts.roles import DERMATOLOGIST, RESEARCHER
from scoring.models import Assignment
from tests.factories import (
    claim,
    make_adjudicator,
    make_administrator,
    make_case,
    make_dermatologist,
    make_queue,
    make_rater,
    make_researcher,
    make_study,
    make_user,
)

pytestmark = pytest.mark.django_db
DOORS = ("cases:image", "cases:thumbnail")


def url_of(image, door: str = "cases:image") -> str:
    return reverse(door, args=[image.public_id])


def test_the_door_needs_a_log_in(client):
    image = make_case().images.get()
    for door in DOORS:
        response = client.get(url_of(image, door))
        assert response.status_code == 302
        assert "/accounts/" in response["Location"]


@pytest.mark.parametrize("make", [make_administrator, make_adjudicator, make_researcher])
def test_staff_see_every_image(client, make):
    image = make_case().images.get()
    client.force_login(make())
    response = client.get(url_of(image))
    assert b"".join(response.streaming_content) == image.file.read()
    assert response["Content-Type"] == image.media_type
    thumbnail = client.get(url_of(image, "cases:thumbnail"))
    assert b"".join(thumbnail.streaming_content) == image.thumbnail.read()


def test_a_dermatologist_sees_the_images_of_her_own_cases_only(client):
    study = make_study()
    rater, other = make_rater(study), make_rater(study)
    make_queue(study, 2)
    case = claim(study, rater).version.narrative.case
    hers = case.images.get()
    not_hers = Assignment.objects.exclude(version__narrative__case=case).first().version.narrative.case.images.get()
    client.force_login(rater)
    for door in DOORS:
        assert client.get(url_of(hers, door)).status_code == 200
        assert client.get(url_of(not_hers, door)).status_code == 404
    client.force_login(other)
    if not Assignment.objects.filter(rater=other).exists():
        for door in DOORS:
            assert client.get(url_of(hers, door)).status_code == 404


def test_what_is_withheld_looks_like_what_does_not_exist(client):
    image = make_case().images.get()
    client.force_login(make_dermatologist())
    nowhere = uuid.uuid4()
    withheld = client.get(url_of(image), HTTP_IF_NONE_MATCH=f'"{image.public_id.hex}"')
    missing = client.get(reverse("cases:image", args=[nowhere]))
    assert (withheld.status_code, missing.status_code) == (404, 404)

    def plain(response, asked: uuid.UUID) -> bytes:  # but for the address and what is drawn anew for every page
        anew = rb'csrfmiddlewaretoken" value="[^"]+"|X-CSRFToken": "[^"]+"|nonce="[^"]+"'
        return re.sub(anew, b"", response.content.replace(str(asked).encode(), b""))

    assert plain(withheld, image.public_id) == plain(missing, nowhere)
    assert "ETag" not in withheld


def test_somebody_without_a_role_sees_nothing(client):
    image = make_case().images.get()
    client.force_login(make_user())
    assert client.get(url_of(image)).status_code == 404


def test_a_researcher_who_also_rates_sees_all(client):
    image = make_case().images.get()
    client.force_login(make_user(DERMATOLOGIST, RESEARCHER))
    assert client.get(url_of(image)).status_code == 200


@pytest.mark.parametrize("door", DOORS)
def test_the_headers_say_nothing_about_the_picture(client, door):
    image = make_case().images.get()
    client.force_login(make_administrator())
    response = client.get(url_of(image, door))
    headers = str(response.headers)
    for secret in (image.sha256, image.original_sha256, image.case.source_key, image.file.name.split("/")[-1]):
        assert secret not in headers
    assert "Last-Modified" not in response
    assert response["Content-Disposition"] in ('inline; filename="image.png"', 'inline; filename="image.jpg"')
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "private" in response["Cache-Control"]
    assert "immutable" in response["Cache-Control"]
    assert "public" not in response["Cache-Control"].replace("public_id", "")


@pytest.mark.parametrize("door", DOORS)
def test_what_the_browser_has_is_not_sent_again(client, door):
    image = make_case().images.get()
    client.force_login(make_administrator())
    etag = client.get(url_of(image, door))["ETag"]
    for tag in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = client.get(url_of(image, door), HTTP_IF_NONE_MATCH=tag)
        assert (again.status_code, again.content) == (304, b"")
        assert again["ETag"] == etag
        assert "private" in again["Cache-Control"]
    assert client.get(url_of(image, door), HTTP_IF_NONE_MATCH='"other"').status_code == 200


def test_image_and_thumbnail_have_tags_of_their_own(client):
    image = make_case().images.get()
    client.force_login(make_administrator())
    assert client.get(url_of(image))["ETag"] != client.get(url_of(image, "cases:thumbnail"))["ETag"]


def test_a_file_missing_from_the_storage_is_not_found(client):
    image = make_case().images.get()
    image.file.storage.delete(image.file.name)
    client.force_login(make_administrator())
    assert client.get(url_of(image)).status_code == 404


def test_only_reading(client):
    image = make_case().images.get()
    client.force_login(make_administrator())
    assert client.post(url_of(image)).status_code == 405
    assert client.head(url_of(image)).status_code == 200
