"""Side by side: which case comes first, what stands in the columns, and that colours take no side."""

from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from modelhub.models import BenchmarkEntry
from modelhub.views.aligned_steps import Part, aligned_sections, differing
from scoring.models import Reveal
from tests.factories import make_administrator, make_case, make_version
from tests.modelhub import hub_rows

pytestmark = pytest.mark.django_db
URL = "/hub/compare/"


@pytest.fixture
def admin(client):
    user = make_administrator()
    client.force_login(user)
    return user


@pytest.fixture
def benchmark(admin):
    """Three cases of differences 1, 2 and 3, the tones light, dark and dark."""
    cases = [make_case(split="evaluation", skin_tone=tone) for tone in ("light", "dark", "dark")]
    return hub_rows.make_benchmark(actor=admin, cases=cases)


def shown(client, **query):
    return client.get(URL, query).context["comparison"]


def test_the_greatest_difference_comes_first(client, benchmark):
    comparison = shown(client)
    cases = [entry.case for entry in benchmark.entries.order_by("pk").select_related("case")][::2]
    assert (comparison.case, comparison.position, comparison.total) == (cases[2], 1, 3)
    assert comparison.scores[-1].difference == 3.0


def test_who_sees_the_reference_here_knows_it_when_she_rates(admin, client, benchmark):
    comparison = shown(client)
    assert "Reference diagnosis" in client.get(URL).content.decode()
    assert list(Reveal.objects.values_list("rater", "case")) == [(admin.pk, comparison.case.pk)]


def test_the_order_of_cases_is_the_other_choice(client, benchmark):
    assert shown(client, order="case").scores[-1].difference == 1.0


def test_next_and_previous_lead_through_all_cases(client, benchmark):
    comparison, seen = shown(client), []
    while True:
        seen.append(comparison.case.pk)
        if not comparison.following:
            break
        comparison = client.get(URL + comparison.following).context["comparison"]
    assert sorted(seen) == sorted(benchmark.entries.values_list("case_id", flat=True).distinct())
    back = client.get(URL + comparison.previous).context["comparison"]
    assert back.case.pk == seen[-2] and not shown(client).previous


def test_only_one_skin_tone(client, benchmark):
    comparison = shown(client, tone="three-level|dark")
    assert comparison.total == 2 and comparison.case.skin_tone == "dark"
    assert comparison.tones == (
        ("three-level|dark", "dark (three-level)"),
        ("three-level|light", "light (three-level)"),
    )


def test_a_tone_that_no_case_has(client, benchmark):
    assert "No case fits" in client.get(URL, {"tone": "three-level|medium"}).content.decode()


def test_the_sides_can_be_swapped(client, benchmark):
    first, second = benchmark.candidates.order_by("pk")
    comparison = shown(client, left=second.public_id, right=first.public_id)
    assert [side.model for side in comparison.sides] == [second, first]
    assert comparison.scores[-1].difference == -3.0


def test_nonsense_in_the_address_shows_the_first_view(client, benchmark):
    query = {"benchmark": "x", "left": "y", "right": "z", "order": "q", "case": "nothing"}
    assert shown(client, **query).position == 1


def test_the_page_names_evaluator_rubric_and_n(client, benchmark):
    html = " ".join(unescape(client.get(URL).content.decode()).split())
    assert "(n = 1 per model) by Exact evaluator for drawn lesions, rubric 1" in html
    assert "−" not in html.split("<tbody>")[1].split("</tbody>")[0] and "+3.0" in html
    assert "dark (three-level)" in html


def test_differing_words_are_marked_alike_on_both_sides(client, benchmark):
    html = client.get(URL).content.decode()
    assert "<mark>brown</mark>" in html and "<mark>black</mark>" in html


def test_a_missing_score_makes_no_difference(client, benchmark):
    entry = benchmark.entries.order_by("pk").last()
    entry.evaluation.scores.filter(dimension="safety").update(value=None)
    comparison = shown(client, case=entry.case.public_id)
    by_name = {row.name: row for row in comparison.scores}
    assert by_name["Safety"].difference is None and by_name["Mean of six"].difference is None
    assert comparison.position == 3  # what is unknown comes last


def test_a_failed_side_says_why(client, benchmark):
    entry = benchmark.entries.order_by("pk").last()
    BenchmarkEntry.objects.filter(pk=entry.pk).update(
        state="failed", error="The model refused.", evaluation=None, generation=None
    )
    html = client.get(URL, {"case": entry.case.public_id}).content.decode()
    assert "The model refused." in html and "Says nothing here." in html


def test_without_a_finished_benchmark_it_says_what_to_do(client, admin):
    hub_rows.make_benchmark(actor=admin, finished=False)
    html = client.get(URL).content.decode()
    assert "No benchmark has finished yet" in html and reverse("modelhub:benchmark_start") in html


def test_many_cases_cost_no_more_queries(client, admin):
    def queries(count: int) -> int:
        benchmark = hub_rows.make_benchmark(actor=admin, cases=[make_case(split="evaluation") for _ in range(count)])
        with CaptureQueriesContext(connection) as seen:
            client.get(URL, {"benchmark": benchmark.run.public_id})
        return len(seen)

    assert queries(3) == queries(12)


def test_parts_joined_give_the_texts_back():
    left, right = "A brown, oval plaque.", "A black plaque on light skin."
    parts = differing(left, right)
    assert ["".join(part.text for part in side) for side in parts] == [left, right]
    assert all(not p.text.endswith(" ") for side in parts for p in side if p.differs)


def test_only_what_differs_is_marked():
    parts = differing("A brown plaque on light skin.", "A black plaque on light skin.")
    assert [[part.text for part in side if part.differs] for side in parts] == [["brown"], ["black"]]


def test_one_side_alone_is_not_marked():
    assert differing("A plaque.", "") == ((Part("A plaque.", False),), ())


def test_sections_keep_their_kind_whatever_the_form():
    tagged = make_version(text=hub_rows.RIGHT_TEXT)
    headed = make_version(text="Image Findings\nA red patch.\nFinal Diagnosis\nEczema.")
    kinds = {s.kind: (bool(s.left), bool(s.right)) for s in aligned_sections(tagged, headed)}
    assert kinds["findings"] == (True, True) and kinds["diagnosis"] == (True, True)
    assert kinds["advice"] == (True, False)


def test_a_text_without_steps_stands_whole():
    (section,) = aligned_sections(make_version(text="???"), None)
    assert (section.heading, section.left, section.right) == ("Text", (Part("???", False),), ())
