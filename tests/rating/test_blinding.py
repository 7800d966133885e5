"""Blinding by bytes: what a rater receives names no model, run, source or colleague's view too early.

Canary words stand wherever such a name could come from; every address of the rating pages is asked
for, and the words must occur in no body and no header.
"""

import json

import pytest
from django.urls import get_resolver, reverse

from annotator.rating import urls
from modelhub.models import Generation, ModelVersion, PromptVersion, Run
from scoring.models import CaseImage, NarrativeVersion, Rating, Score
from scoring.rubric import DIMENSION_KEYS
from scoring.services.queue import enqueue_versions
from tests.factories import claim, make_case, make_dermatologist, make_rater, make_source, make_version, rate

pytestmark = pytest.mark.django_db

CANARIES = (
    "canary-model",
    "canary-location",
    "canary-run",
    "canary-prompt",
    "canary-setting",
    "canary-source",
    "canary-key",
    "canary-group",
    "canary-file",
    "canary-diagnosis",
    "canary-comment",
    "canary-colleague",
)


@pytest.fixture
def planted(study, rater):
    """Two narratives by a model, each rated by a colleague first; the rater holds one of them."""
    source = make_source(name="canary-source", licence="canary-source licence", basis="canary-source basis")
    run = Run.objects.create(kind=Run.Kind.GENERATION, title="canary-run", message="canary-run message")
    model = ModelVersion.objects.create(
        name="canary-model", kind="base", location="canary-location", weights_hash="canary-model"
    )
    prompt = PromptVersion.objects.create(name="canary-prompt", number=1, text="canary-prompt", content_hash="c")
    versions = []
    for number in range(3):
        case = make_case(source=source, source_key=f"canary-key-{number}", diagnosis="canary-diagnosis")
        type(case.group).objects.filter(pk=case.group_id).update(key=f"canary-group-{number}")
        CaseImage.objects.filter(case=case).update(
            file=f"cases/canary-file-{number}.png", thumbnail=f"thumbnails/canary-file-{number}.png"
        )
        version = make_version(case=case)
        Generation.objects.create(
            run=run,
            case=case,
            model=model,
            prompt=prompt,
            version=version,
            state="done",
            settings={"a": "canary-setting"},
        )
        versions.append(version)
    enqueue_versions(study=study, versions=versions, actor=None)
    colleague = make_rater(study, username="canary-colleague", first_name="canary-colleague")
    for _ in versions:
        rating = rate(study, colleague, 2)
        Rating.objects.filter(pk=rating.pk).update(comment="canary-comment")
        Score.objects.filter(rating=rating).update(comment="canary-comment")
    return claim(study, rater)


def received(answer) -> str:
    headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    return f"{headers}\n{answer.cookies.output()}\n{answer.content.decode()}".lower()


def assert_blind(answer) -> None:
    found = [canary for canary in CANARIES if canary in received(answer)]
    assert not found, f"{answer.request['PATH_INFO']} gave away {found}"


def addresses(assignment) -> dict[str, str]:
    study = [assignment.study.public_id]
    own = [assignment.public_id]
    arguments = {"next": [], "mine": [], "study": study, "consent": study, "withdraw": study}
    return {p.name: reverse(f"rating:{p.name}", args=arguments.get(p.name, own)) for p in urls.urlpatterns}


def test_every_address_is_blind_before_the_submission(page, planted) -> None:
    visited = addresses(planted)
    assert len(visited) == len(get_resolver("annotator.rating.urls").url_patterns) >= 10
    for name, address in visited.items():
        assert_blind(page.get(address, follow=True))
        if name != "withdraw":
            for answer in (page.post(address, {}), page.post(address, {}, headers={"HX-Request": "true"})):
                assert_blind(answer)


def test_drafts_and_refused_submissions_are_blind(page, planted) -> None:
    visited = addresses(planted)
    draft = json.dumps({"revision": 1, "page": "p", "fields": {"accuracy": "3"}})
    assert_blind(page.post(visited["draft"], draft, content_type="application/json"))
    assert_blind(page.post(visited["lease"]))
    assert_blind(page.post(visited["assignment"], {"accuracy": "9"}))
    assert_blind(page.post(visited["skip"], {"reason": "bored"}))
    assert_blind(page.post(visited["revise"], {"step-99": "x"}))


def test_after_the_submission_only_the_reference_is_revealed(page, planted) -> None:
    visited = addresses(planted)
    form = dict.fromkeys(DIMENSION_KEYS, "4")
    for answer in (page.post(visited["assignment"], form, follow=True), page.get(visited["mine"])):
        text = received(answer)
        assert "canary-diagnosis" in text
        assert [canary for canary in CANARIES if canary in text] == ["canary-diagnosis"]


def test_a_correction_is_blind(page, planted) -> None:
    answer = page.post(addresses(planted)["revise"], {"step-1": "A corrected first step."}, follow=True)
    assert NarrativeVersion.objects.filter(origin="edited").exists()
    assert_blind(answer)


def test_a_colleagues_case_gives_nothing_away(client, study, planted) -> None:
    client.force_login(make_dermatologist())
    for name, address in addresses(planted).items():
        answer = client.get(address)
        assert_blind(answer)
        if name not in {"next", "mine"}:
            assert answer.status_code in {404, 405}


def test_the_test_would_notice_a_leak(page, planted) -> None:
    NarrativeVersion.objects.filter(pk=planted.version_id).update(steps=[], text="written by canary-model")
    with pytest.raises(AssertionError, match="canary-model"):
        assert_blind(page.get(addresses(planted)["assignment"]))
