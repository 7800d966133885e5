"""Blinding by bytes: what a rater receives names no model, run, source or colleague's view too early.

Canary words stand wherever such a name could come from: in tables, in file names, in the pictures' own
metadata. Every address of the studio is asked for as she would, whether she may or not, and the words
must occur in no body, no header, no cookie and no picture.
"""

import io
import json
import uuid
from collections.abc import Iterator

import pytest
from django.core.files.base import ContentFile
from django.urls import URLResolver, get_resolver, reverse
from PIL import Image, PngImagePlugin

from modelhub.models import Draft, Generation, ModelVersion, PromptVersion, Run
from scoring.models import NarrativeVersion, Rating, Score
from scoring.rubric import DIMENSION_KEYS
from scoring.services.cases import create_case
from scoring.services.queue import enqueue_versions
from tests.factories import claim, make_dermatologist, make_rater, make_source, make_version, rate
from tests.modelhub.drafters import make_held_draft

pytestmark = pytest.mark.django_db

SCORE = 2.718281828  # off the scale's steps, so that a colleague's score can be told from everything else
CANARIES = (
    "canary-model",
    "canary-location",
    "canary-run",
    "canary-prompt",
    "canary-setting",
    "canary-caption",
    "label_at_reasoning",
    "told the label",
    "canary-source",
    "canary-key",
    "canary-group",
    "canary-file",
    "canary-metadata",
    "canary-diagnosis",
    "canary-comment",
    "canary-colleague",
    "canary-error",
    "2.718",
    "2.72",
)
LEAVES = {"rating:withdraw", "accounts:logout", "accounts:password_change", "accounts:language", "accounts:profile"}


def picture(number: int) -> bytes:
    """A picture whose own metadata would tell where it comes from."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "canary-metadata")
    exif = Image.Exif()
    exif[0x010E] = "canary-metadata"
    out = io.BytesIO()
    Image.effect_noise((160, 120), 40 + number).convert("RGB").save(out, "PNG", pnginfo=text, exif=exif)
    assert b"canary-metadata" in out.getvalue()
    return out.getvalue()


def plant_case(source, number: int):
    case = create_case(
        source=source, source_key=f"canary-key-{number}", group_key=f"canary-group-{number}", split="training",
        diagnosis="canary-diagnosis", basis="histopathology", images=[picture(number)],
    )  # fmt: skip
    image = case.images.get()
    for field, name in ((image.file, f"canary-file-{number}.png"), (image.thumbnail, f"canary-file-{number}.jpg")):
        field.name = field.storage.save(f"cases/{name}", ContentFile(field.read()))
    image.save()
    return case


@pytest.fixture
def planted(study, rater):
    """Three narratives by a model, each rated by a colleague first; the rater holds one of them."""
    source = make_source(name="canary-source", licence="canary-source licence", basis="canary-source basis")
    run = Run.objects.create(kind=Run.Kind.GENERATION, title="canary-run", message="canary-run message")
    model = ModelVersion.objects.create(
        name="canary-model", kind="base", location="canary-location", weights_hash="canary-model"
    )
    prompt = PromptVersion.objects.create(name="canary-prompt", number=1, text="canary-prompt", content_hash="c")
    versions = []
    for number in range(3):
        version = make_version(case=plant_case(source, number))
        Generation.objects.create(
            run=run, case=version.narrative.case, model=model, prompt=prompt, version=version, state="done",
            settings={"a": "canary-setting"},
        )  # fmt: skip
        versions.append(version)
    make_held_draft(model, versions[0].narrative.case, text="canary-caption")
    NarrativeVersion.objects.update(conditioning="label_at_reasoning")
    enqueue_versions(study=study, versions=versions, actor=None)
    colleague = make_rater(study, username="canary-colleague", first_name="canary-colleague")
    for _ in versions:
        rating = rate(study, colleague, 2)
        Rating.objects.filter(pk=rating.pk).update(comment="canary-comment")
        Score.objects.filter(rating=rating).update(comment="canary-comment", value=SCORE)
    return claim(study, rater)


def received(answer) -> str:
    headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return f"{headers}\n{answer.cookies.output()}\n{body.decode('latin-1')}".lower()


def assert_blind(answer, allowed: tuple[str, ...] = ()) -> None:
    text = received(answer)
    found = [canary for canary in CANARIES if canary in text and canary not in allowed]
    assert not found, f"{answer.request['PATH_INFO']} gave away {found}"


def patterns(resolver=None, prefix: str = "", above: frozenset[str] = frozenset()) -> Iterator[tuple[str, frozenset]]:
    """The name of every address and what it needs, with what the addresses that it is included under need."""
    for entry in (resolver or get_resolver()).url_patterns:
        wanted = above | set(entry.pattern.converters)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, f"{prefix}{entry.namespace}:" if entry.namespace else prefix, wanted)
        else:
            yield f"{prefix}{entry.name}", wanted


def addresses(assignment) -> dict[str, str]:
    """Every address of the studio by name, about the things that this assignment concerns."""
    version = assignment.version
    narrative, case = version.narrative, version.narrative.case
    image = case.images.get()
    run = Run.objects.get(kind=Run.Kind.GENERATION)
    about = {
        "rating": assignment, "cases": case, "study": assignment.study, "narratives": narrative,
        "cases:image": image, "cases:thumbnail": image,
        "modelhub:model_detail": ModelVersion.objects.get(), "modelhub:generation_detail": Generation.objects.first(),
        "modelhub:run_detail": run, "modelhub:run_cancel": run, "modelhub:draft_detail": Draft.objects.get(),
        "modelhub:draft_pass": Draft.objects.get(),
    }  # fmt: skip
    fixed = {"study": assignment.study.public_id, "case": case.public_id, "number": 1, "position": 1, "state": "pause",
             "part": "raters"}  # fmt: skip
    found = {}
    for name, wanted in patterns():
        row = about.get(name) or about.get(name.split(":")[0])
        own = {"public_id": row.public_id if row else uuid.uuid4()}
        found[name] = reverse(name, kwargs={key: (fixed | own).get(key, uuid.uuid4()) for key in wanted})
    return found


def test_every_address_is_blind_before_the_submission(page, planted) -> None:
    visited = addresses(planted)
    assert len(visited) >= 60
    assert {"rating:ahead", "rating:dispute", "cases:image", "narratives:detail", "modelhub:model_detail"} <= set(
        visited
    )
    opened = 0
    for name, address in visited.items():
        answer = page.get(address)
        opened += answer.status_code == 200
        assert_blind(answer)
        if name in LEAVES:
            continue
        assert_blind(page.post(address, {}))
        assert_blind(page.post(address, {}, headers={"HX-Request": "true"}))
        assert_blind(page.post(address, {}, headers={"X-Requested-With": "fetch"}))
    assert opened >= 10


def test_the_pictures_are_served_and_blind(page, planted) -> None:
    visited = addresses(planted)
    for name in ("cases:image", "cases:thumbnail"):
        answer = page.get(visited[name])
        assert answer.status_code == 200 and "ETag" in answer.headers
        assert_blind(answer)
        assert_blind(page.get(visited[name], headers={"If-None-Match": answer.headers["ETag"]}))


def test_drafts_and_refused_submissions_are_blind(page, planted) -> None:
    visited = addresses(planted)
    draft = json.dumps({"revision": 0, "count": 1, "page": "p", "fields": {"accuracy": "3"}})
    assert_blind(page.post(visited["rating:draft"], draft, content_type="application/json"))
    assert_blind(page.post(visited["rating:lease"]))
    assert_blind(page.post(visited["rating:assignment"], {"accuracy": "9"}))
    assert_blind(page.post(visited["rating:skip"], {"reason": "bored"}))
    assert_blind(page.post(visited["rating:revise"], {"step-99": "x"}))


def test_after_the_submission_nothing_is_shown_until_she_looks_and_then_the_reference_alone(page, planted) -> None:
    visited = addresses(planted)
    assert_blind(page.post(visited["rating:assignment"], dict.fromkeys(DIMENSION_KEYS, "4"), follow=True))
    for name, address in visited.items():
        if name != "rating:reveal":
            assert_blind(page.get(address))
    answer = page.post(visited["rating:reveal"], follow=True)
    assert "canary-diagnosis" in received(answer)
    for name, address in visited.items():
        assert_blind(page.get(address), allowed=("canary-diagnosis",) if name.startswith("rating:") else ())


def test_a_correction_is_blind(page, planted) -> None:
    answer = page.post(addresses(planted)["rating:revise"], {"step-1": "A corrected first step."}, follow=True)
    assert NarrativeVersion.objects.filter(origin="edited").exists()
    assert_blind(answer)


def test_error_pages_are_blind(page, planted, monkeypatch) -> None:
    def fail(**_):
        raise RuntimeError("canary-error in canary-model")

    monkeypatch.setattr("annotator.rating.views.queue.claim_next", fail)
    page.raise_request_exception = False
    answer = page.get(addresses(planted)["rating:study"])
    assert answer.status_code == 500
    assert_blind(answer)
    for answer in (page.get("/rate/canary/"), page.get("/hub/"), page.get(f"/rate/{uuid.uuid4()}/")):
        assert answer.status_code == 404
        assert_blind(answer)


def test_a_colleagues_case_gives_nothing_away(client, study, planted) -> None:
    client.force_login(make_dermatologist())
    for name, address in addresses(planted).items():
        answer = client.get(address)
        assert_blind(answer)
        if name.startswith(("rating:", "cases:")) and name not in {"rating:next", "rating:mine"}:
            assert answer.status_code in {403, 404, 405}, name


def test_without_a_log_in_nothing_is_given_away(client, planted) -> None:
    for address in addresses(planted).values():
        assert_blind(client.get(address))


def test_the_test_would_notice_a_leak(page, planted) -> None:
    visited = addresses(planted)
    NarrativeVersion.objects.filter(pk=planted.version_id).update(steps=[], text="written by canary-model")
    with pytest.raises(AssertionError, match="canary-model"):
        assert_blind(page.get(visited["rating:assignment"]))
    image = planted.version.narrative.case.images.get()
    image.file.storage.delete(image.file.name)
    image.file.storage.save(image.file.name, ContentFile(picture(1)))
    with pytest.raises(AssertionError, match="canary-metadata"):
        assert_blind(page.get(visited["cases:image"]))
