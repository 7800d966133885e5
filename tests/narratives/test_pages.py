"""Narratives for staff: list, states, queueing, history, writing."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from scoring.models import Assignment, NarrativeVersion
from scoring.pseudonym import pseudonym
from scoring.services.narratives import revise_version
from tests.factories import (
    NARRATIVE,
    make_adjudicator,
    make_administrator,
    make_case,
    make_dermatologist,
    make_queue,
    make_rater,
    make_researcher,
    make_study,
    make_version,
    rate,
)
from tests.scoring.certified import certified_case

pytestmark = pytest.mark.django_db
LIST = "narratives:list"


@pytest.fixture
def study():
    return make_study(overlap=2)


@pytest.fixture
def raters(study):
    return [
        make_rater(study, username="greta.holm", first_name="Greta", last_name="Holm"),
        make_rater(study, username="wei.li", first_name="Weiming", last_name="Liangzhou"),
    ]


@pytest.fixture
def administrator(client):
    user = make_administrator(username="the.chief")
    client.force_login(user)
    return user


def detail_url(version: NarrativeVersion) -> str:
    return reverse("narratives:detail", args=[version.narrative.public_id])


@pytest.mark.parametrize(
    ("make", "status"),
    [(make_administrator, 200), (make_researcher, 200), (make_dermatologist, 403), (make_adjudicator, 403)],
)
def test_staff_only(client, study, make, status) -> None:
    version = make_version()
    client.force_login(make())
    assert client.get(reverse(LIST)).status_code == status
    assert client.get(detail_url(version)).status_code == status


def test_researchers_read_and_change_nothing(client, study) -> None:
    version = make_version()
    client.force_login(make_researcher())
    assert client.post(reverse("narratives:queue"), {"scope": "all"}).status_code == 403
    assert client.get(reverse("narratives:correct", args=[version.narrative.public_id])).status_code == 403
    assert client.get(reverse("narratives:write", args=[version.narrative.case.public_id])).status_code == 403
    assert "Queue" not in client.get(reverse(LIST)).content.decode()
    assert not Assignment.objects.exists()


def test_without_a_study_it_says_what_to_do(client, administrator) -> None:
    assert "There is no study yet" in client.get(reverse(LIST)).content.decode()


def test_each_narrative_stands_in_its_state(client, study, raters, administrator) -> None:
    _, certified = certified_case(study, raters)
    (disputed,) = make_queue(study, 1)
    rate(study, raters[0], 5, safety=1)
    (low,) = make_queue(study, 1)
    for rater in raters:
        while rate(study, rater, 5, accuracy=3).version != low:
            pass
    (waiting,) = make_queue(study, 1)
    rate(study, raters[0], 5)
    unqueued = make_version()
    wanted = {
        "certified": certified.version,
        "adjudication": disputed,
        "revision": low,
        "rating": waiting,
        "not_queued": unqueued,
    }
    for state, version in wanted.items():
        response = client.get(reverse(LIST), {"state": state})
        assert [row["version"] for row in response.context["rows"]] == [version], state
    everything = client.get(reverse(LIST))
    assert {tab["key"]: tab["count"] for tab in everything.context["tabs"]} == {
        **dict.fromkeys(wanted, 1),
        "rejected": 0,
    }
    rated = {row["version"]: row["narrative"].rated for row in everything.context["rows"]}
    assert (rated[waiting], rated[certified.version], rated[unqueued]) == (1, 2, 0)


def test_a_new_version_moves_a_narrative_back(client, study, raters, administrator) -> None:
    _, certified = certified_case(study, raters)
    revise_version(version=certified.version, text=NARRATIVE + " More.", author=administrator)
    (row,) = client.get(reverse(LIST)).context["rows"]
    assert (row["narrative"].state, row["version"].number, row["narrative"].rated) == ("not_queued", 2, 0)


def test_the_ticked_are_queued_once(client, study, administrator) -> None:
    versions = [make_version() for _ in range(3)]
    ticked = [str(v.narrative.public_id) for v in versions[:2]]
    fields = {"study": str(study.public_id), "narrative": [*ticked, "nonsense"]}
    page = client.post(reverse("narratives:queue"), fields, follow=True).content.decode()
    assert "2 narratives queued for 2 ratings each." in page
    assert Assignment.objects.count() == 4
    page = client.post(reverse("narratives:queue"), fields, follow=True).content.decode()
    assert "Nothing was added." in page
    assert Assignment.objects.count() == 4


def test_all_that_are_not_queued_are_queued_at_once(client, study, administrator) -> None:
    for _ in range(30):
        make_version(case=make_case(image=False))
    client.post(reverse("narratives:queue"), {"study": str(study.public_id), "scope": "all"})
    assert Assignment.objects.count() == 60


def test_a_draft_study_takes_none(client, administrator) -> None:
    study = make_study(started=False)
    make_version()
    fields = {"study": str(study.public_id), "scope": "all"}
    page = client.post(reverse("narratives:queue"), fields, follow=True).content.decode()
    assert "Start it before adding narratives" in page


def test_detail_shows_changes_ratings_and_verdicts_without_names(client, study, raters, administrator) -> None:
    _, certified = certified_case(study, raters)
    revise_version(version=certified.version, text=NARRATIVE.replace("oval", "<b>round</b>"), author=raters[0])
    page = client.get(detail_url(certified.version)).content.decode()
    alias = pseudonym(study.public_id, raters[0].public_id)
    assert '<del><span class="visually-hidden">[deleted: </span>oval ' in page
    assert "&lt;b&gt;round&lt;/b&gt;" in page
    assert f"by {alias}" in page
    assert "every mean is at least 4" in page
    for rater in raters:
        assert rater.username not in page
        assert rater.last_name not in page


def test_an_unknown_study_or_narrative_is_not_found(client, study, administrator) -> None:
    version = make_version()
    assert client.get(detail_url(version), {"study": "nonsense"}).status_code == 404
    assert client.get(reverse("narratives:detail", args=[study.public_id])).status_code == 404


def test_a_correction_is_saved_and_queued(client, study, administrator) -> None:
    version = make_version()
    url = reverse("narratives:correct", args=[version.narrative.public_id])
    assert client.get(url).status_code == 200
    fields = {f"step-{s['number']}": s["text"] for s in version.step_texts()} | {"step-2": ""}
    assert client.post(url, fields).status_code == 302
    revised = NarrativeVersion.objects.get(number=2)
    assert len(revised.steps) == len(version.steps) - 1
    assert revised.author == administrator
    assert Assignment.objects.filter(version=revised, priority__gt=0).count() == 2
    answer = client.post(url, {f"step-{s['number']}": s["text"] for s in revised.step_texts()})
    assert answer.status_code == 422


def test_one_written_from_scratch_is_queued(client, study, administrator) -> None:
    case = make_case()
    url = reverse("narratives:write", args=[case.public_id])
    assert client.get(url).status_code == 200
    assert (
        client.post(url, {"language": "en", "text": NARRATIVE.replace(" </think>", "\r\n</think>")}).status_code == 302
    )
    version = NarrativeVersion.objects.get(narrative__case=case)
    assert (version.origin, version.author, version.author_kind) == ("from_scratch", administrator, "person")
    assert "\r" not in version.text
    assert Assignment.objects.filter(version=version).count() == 2


def test_a_text_that_cannot_be_queued_is_not_kept(client, administrator) -> None:
    make_study(started=False)
    case = make_case()
    answer = client.post(reverse("narratives:write", args=[case.public_id]), {"language": "en", "text": NARRATIVE})
    assert answer.status_code == 422
    assert not NarrativeVersion.objects.exists()


def test_queries_grow_neither_with_the_list_nor_with_versions(client, study, raters, administrator) -> None:
    def count(url: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        return len(queries)

    _, certified = certified_case(study, raters)
    version = revise_version(version=certified.version, text=NARRATIVE + " Once.", author=raters[0])
    few, few_versions = count(reverse(LIST)), count(detail_url(version))
    for number in range(5):
        certified_case(study, raters)
        version = revise_version(version=version, text=f"{NARRATIVE} {number}.", author=raters[1])
    assert count(reverse(LIST)) == few
    assert count(detail_url(version)) == few_versions
