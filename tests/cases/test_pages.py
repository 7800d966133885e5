"""The list, a case's page, and who may see them."""

import pytest
from django.urls import reverse

from scoring.models import Case, Source
from tests.factories import (
    make_adjudicator,
    make_administrator,
    make_case,
    make_dermatologist,
    make_researcher,
    make_source,
    make_version,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client):
    client.force_login(make_administrator())
    return client


def shown(response) -> set[str]:
    return {case.diagnosis for case in response.context["page_obj"]}


def test_administrators_and_researchers_see_the_cases(client):
    case = make_case(diagnosis="melanoma in situ")
    for person in (make_administrator(), make_researcher()):
        client.force_login(person)
        assert "melanoma in situ" in client.get(reverse("cases:list")).content.decode()
        assert client.get(reverse("cases:detail", args=[case.public_id])).status_code == 200


@pytest.mark.parametrize("make", [make_dermatologist, make_adjudicator])
def test_raters_and_adjudicators_never_see_reference_diagnoses_here(client, make):
    case = make_case()
    client.force_login(make())
    for url in (reverse("cases:list"), reverse("cases:detail", args=[case.public_id]), reverse("cases:import")):
        response = client.get(url)
        assert response.status_code == 403
        assert "seborrhoeic" not in response.content.decode()


def test_only_administrators_import(client):
    client.force_login(make_researcher())
    assert client.get(reverse("cases:import")).status_code == 403
    assert client.post(reverse("cases:import"), {}).status_code == 403
    assert reverse("cases:import") not in client.get(reverse("cases:list")).content.decode()


def test_an_empty_list_says_what_to_do(admin):
    assert "Import the first cases" in admin.get(reverse("cases:list")).content.decode()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {"melanoma", "nevus", "eczema"}),
        ({"diagnosis": "MELA"}, {"melanoma"}),
        ({"split": "evaluation"}, {"nevus"}),
        ({"tone": "Fitzpatrick\t5"}, {"nevus"}),
        ({"tone": "Monk\t5"}, {"eczema"}),
        ({"tone": "unknown"}, {"melanoma"}),
        ({"source": "first"}, {"melanoma", "nevus"}),
        ({"source": "999999"}, set()),
        ({"source": "x'; DROP"}, set()),
        ({"split": "evaluation", "diagnosis": "melanoma"}, set()),
    ],
)
def test_the_list_is_filtered(admin, query, expected):
    first, second = make_source(), make_source()
    make_case(source=first, diagnosis="melanoma", skin_tone="", skin_tone_scale="")
    make_case(source=first, diagnosis="nevus", split="evaluation", skin_tone="5", skin_tone_scale="Fitzpatrick")
    make_case(source=second, diagnosis="eczema", skin_tone="5", skin_tone_scale="Monk")
    if query.get("source") == "first":
        query = {"source": str(first.pk)}
    response = admin.get(reverse("cases:list"), query)
    assert response.status_code == 200
    assert shown(response) == expected
    if not expected:
        assert "No case fits" in response.content.decode()


def test_the_list_has_pages_that_keep_the_filter(admin):
    source = make_source()
    for _ in range(30):
        make_case(source=source, image=False)
    first = admin.get(reverse("cases:list"), {"diagnosis": "sebor"})
    assert len(first.context["page_obj"].object_list) == 24
    assert "diagnosis=sebor&amp;page=2" in first.content.decode()
    assert len(admin.get(reverse("cases:list"), {"page": 2}).context["page_obj"].object_list) == 6


def test_htmx_gets_the_cards_alone(admin):
    make_case()
    text = admin.get(reverse("cases:list"), HTTP_HX_REQUEST="true").content.decode()
    assert 'id="case-cards"' in text
    assert "<html" not in text


def test_the_list_asks_the_same_number_of_questions_for_10_and_60_cases(admin, django_assert_num_queries):
    source = make_source()
    for _ in range(10):
        make_case(source=source)
    # Session, user, roles, sources, tones, count, cases, images; which references are known, and keeping the new.
    questions = 8 + 1 + 4
    with django_assert_num_queries(questions):
        admin.get(reverse("cases:list"))
    for _ in range(50):
        make_case(source=source)
    with django_assert_num_queries(questions):
        admin.get(reverse("cases:list"))


def test_a_case_asks_the_same_number_of_questions_for_1_and_8_narratives(admin, django_assert_max_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    case = make_case()
    make_version(case=case)
    url = reverse("cases:detail", args=[case.public_id])
    with CaptureQueriesContext(connection) as one:
        admin.get(url)
    for _ in range(7):
        make_version(case=case)
    with django_assert_max_num_queries(len(one)):
        admin.get(url)


def test_a_case_tells_context_reference_and_rights(admin):
    source = make_source(
        redistribute=Source.Redistribute.BLOCK, may_train=False, may_leave_site=False, licence="CC BY-NC 4.0"
    )
    case = make_case(source=source, age=0, sex="", skin_tone="5", skin_tone_scale="Fitzpatrick", diagnosis="nevus")
    text = admin.get(reverse("cases:detail", args=[case.public_id])).content.decode()
    for sentence in (
        "nevus",
        "Histopathology",
        "0 years",
        "5 (Fitzpatrick)",
        "CC BY-NC 4.0",
        "These cases never leave in an export.",
        "Models must not train on them.",
        "They must not be sent to services outside this site.",
        "Nobody has written about this case yet.",
    ):
        assert sentence in text
    assert "unknown" in text  # the sex


def test_what_data_sets_bring_is_shown_as_text(admin):
    case = make_case(diagnosis="<script>alert(1)</script>")
    for url in (reverse("cases:list"), reverse("cases:detail", args=[case.public_id])):
        text = admin.get(url).content.decode()
        assert "<script>alert(1)" not in text
        assert "&lt;script&gt;alert(1)" in text


def test_a_case_lists_its_narratives_by_number_without_their_model(admin):
    from modelhub.models import Generation, ModelVersion, PromptVersion, Run

    case = make_case()
    version = make_version(case=case)
    model = ModelVersion.objects.create(name="SecretModel-7B", kind="base", location="x", weights_hash="0" * 64)
    prompt = PromptVersion.objects.create(name="p", number=1, text="Describe.", content_hash="1" * 64)
    run = Run.objects.create(kind="generation", title="Write")
    Generation.objects.create(run=run, case=case, model=model, prompt=prompt, version=version, state="done")
    text = admin.get(reverse("cases:detail", args=[case.public_id])).content.decode()
    assert "Narrative 1" in text
    assert "SecretModel" not in text


def test_an_unknown_case_is_not_found(admin):
    import uuid

    assert admin.get(reverse("cases:detail", args=[uuid.uuid4()])).status_code == 404
    assert not Case.objects.exists()
