"""The adjudicator's desk through HTTP: who comes in, what waits first, what is shown of raters."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotator.review.desk import waiting
from scoring.models import (
    Certification,
    Mark,
    Rating,
)
from scoring.pseudonym import pseudonym
from tests.factories import (
    make_adjudicator,
    make_administrator,
    make_dermatologist,
    make_queue,
    make_rater,
    make_researcher,
    make_study,
    rate,
)
from tests.review.waiting import dispute_reference_of, disputed, spread, too_low, url

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_study(overlap=2)


@pytest.fixture
def raters(study):
    return [
        make_rater(study, username="greta.holm", first_name="Greta", last_name="Holm"),
        make_rater(study, username="wei.li", first_name="Weiming", last_name="Liangzhou"),
    ]


@pytest.mark.parametrize(
    ("make", "status"),
    [(make_adjudicator, 200), (make_administrator, 200), (make_researcher, 403), (make_dermatologist, 403)],
)
def test_the_desk_is_for_adjudicators_and_administrators(client, study, raters, make, status) -> None:
    waiting = disputed(study, raters)
    client.force_login(make())
    assert client.get(reverse("review:list")).status_code == status
    assert client.get(url("detail", waiting)).status_code == status


def test_the_gravest_waits_first(client, study, raters) -> None:
    low = too_low(study, raters)
    narrow, wide = spread(study, raters, 2), spread(study, raters, 0)
    unsafe = disputed(study, raters)
    reference = spread(study, raters, 1)
    dispute_reference_of(reference, raters[0])
    reference = Certification.objects.get(version=reference.version, is_current=True)
    client.force_login(make_adjudicator())
    page = client.get(reverse("review:list"))
    assert list(page.context["page_obj"]) == [reference, unsafe, wide, narrow, low]
    assert [(c.reference_disputed, c.unsafe, c.spread) for c in waiting()] == [
        (True, False, 4),
        (False, True, 0),
        (False, False, 5),
        (False, False, 3),
        (False, False, 0),
    ]


def test_pages_show_pseudonyms_and_never_names(client, study, raters) -> None:
    waiting = disputed(study, raters)
    waiting.ratings.update(comment="Escalation is missing.")
    client.force_login(make_adjudicator())
    page = client.get(url("detail", waiting)).content.decode()
    desk = client.get(reverse("review:list")).content.decode()
    for rater in raters:
        assert pseudonym(study.public_id, rater.public_id) in page
        for name in (rater.username, rater.first_name, rater.last_name):
            assert name not in page + desk
    assert "Escalation is missing." in page
    assert "Safety score of 1" in page


def test_marks_are_merged_onto_the_text_under_pseudonyms(client, study, raters) -> None:
    certification = disputed(study, raters)
    step = certification.version.step_texts()[0]
    start = step["start"]
    spans = [(start, start + 8), (start + 2, start + 14)]
    ratings = sorted(certification.ratings.all(), key=lambda r: pseudonym(study.public_id, r.rater.public_id))
    for rating, (one, other) in zip(ratings, spans, strict=True):
        Mark.objects.create(
            rating=rating,
            step=1,
            verdict="error",
            error_type="hallucinated_finding",
            severity="major",
            span_start=one,
            span_end=other,
            note="Not there.",
        )
    client.force_login(make_adjudicator())
    answer = client.get(url("detail", certification))
    first = answer.context["steps"][0]
    assert "".join(part.text for part in first.segments) == step["text"]
    assert [len(part.marks) for part in first.segments] == [1, 2, 1, 0]
    page = answer.content.decode()
    assert page.count("Hallucinated finding · Major") == 2
    assert "<mark>" in page


def test_time_flags_and_informed_scores_stand_apart(client, study, raters) -> None:
    certification = disputed(study, raters)
    hasty, changed = certification.ratings.order_by("pk")
    Rating.objects.filter(pk=hasty.pk).update(active_seconds=1)
    Rating.objects.filter(pk=changed.pk).update(is_current=False)
    later = Rating.objects.get(pk=changed.pk)
    scores = list(later.scores.all())
    later.pk, later.public_id, later.client_uuid = None, uuid.uuid4(), uuid.uuid4()
    later.is_current, later.is_first, later.informed, later.supersedes = True, False, True, changed
    later.save()
    for score in scores:
        score.pk, score.rating, score.value = None, later, 3
        score.save()
    client.force_login(make_adjudicator())
    answer = client.get(url("detail", certification))
    columns = answer.context["columns"]
    assert sorted((c.rating.pk, c.informed, c.too_fast) for c in columns) == sorted(
        [(hasty.pk, False, True), (changed.pk, False, False), (later.pk, True, False)]
    )
    page = answer.content.decode()
    assert page.count("faster than reading") == 1
    assert ">informed<" in page
    accuracy = answer.context["rows"][0]
    assert accuracy.spread == 2  # the last words: 5 and 3


def test_queries_do_not_grow_with_raters_and_marks(client) -> None:
    client.force_login(make_adjudicator())

    def count(overlap: int) -> int:
        study = make_study(overlap=overlap)
        (version,) = make_queue(study, 1)
        for number in range(overlap):
            rating = rate(study, make_rater(study), 5, safety=1)
            Mark.objects.create(rating=rating, step=1 + number % 2, verdict="ok")
        certification = Certification.objects.get(version=version, is_current=True)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url("detail", certification)).status_code == 200
        return len(queries)

    assert count(2) == count(6)


def test_queries_do_not_grow_with_the_desk(client, study, raters) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(reverse("review:list")).status_code == 200
        return len(queries)

    client.force_login(make_adjudicator())
    disputed(study, raters)
    few = count()
    for _ in range(4):
        disputed(study, raters)
    assert count() == few
