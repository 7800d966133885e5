"""Writing narratives: nothing starts before the plan was seen, and what starts is what was seen."""

from html import unescape

import pytest
from django.urls import reverse

from modelhub.models import Generation, Run
from scoring.models import Split
from tests.factories import make_administrator, make_case, make_source, make_study
from tests.modelhub import hub_rows

pytestmark = pytest.mark.django_db
URL = "/hub/runs/generate/"


@pytest.fixture
def admin(client):
    user = make_administrator()
    client.force_login(user)
    return user


def fields(model, **changes) -> dict:
    return {"model": model.public_id, "with_image": "on", **changes}


def check(client, model, **changes) -> str:
    return unescape(client.get(URL, {"check": "1", **fields(model, **changes)}).content.decode())


def start(client, model, **changes):
    return client.post(URL, fields(model, **changes), follow=True)


def test_checking_shows_the_plan_and_writes_nothing(client, admin):
    make_case()
    html = check(client, hub_rows.make_model(name="Model A"))
    assert "Write 1 narrative" in html and "Model A" in html
    assert not Run.objects.exists()


def test_starting_makes_the_run_that_was_shown(client, admin):
    case, model = make_case(), hub_rows.make_model()
    response = start(client, model, promised="1", seed="7")
    run = Run.objects.get()
    assert response.redirect_chain[-1][0] == reverse("modelhub:run_detail", args=[run.public_id])
    assert [g.case for g in Generation.objects.filter(run=run)] == [case]
    assert run.plan["settings"]["seed"] == 7 and run.plan["settings"]["max_new_tokens"] == 256
    assert run.created_by == admin


def test_cases_that_changed_since_are_shown_again(client, admin):
    make_case(), make_case()
    html = unescape(start(client, hub_rows.make_model(), promised="1").content.decode())
    assert "have changed since you looked" in html and not Run.objects.exists()


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"split": "evaluation"}, 1),
        ({"split": "training"}, 2),
        ({"tone": "three-level|dark"}, 1),
        ({"tone": "unknown"}, 1),
        ({"number": "2"}, 2),
        ({}, 3),
    ],
)
def test_filters(client, admin, choice, expected):
    make_case(split=Split.EVALUATION)
    make_case(skin_tone="dark")
    make_case(skin_tone="", skin_tone_scale="")
    assert f"Write {expected} narrative" in check(client, hub_rows.make_model(), **choice)


def test_one_source_only(client, admin):
    source = make_source()
    make_case(source=source), make_case()
    assert "Write 1 narrative" in check(client, hub_rows.make_model(), source=source.public_id)


def test_cases_this_model_has_written_about_can_be_left_out(client, admin):
    model, case = hub_rows.make_model(), make_case()
    make_case()
    hub_rows.make_generation(hub_rows.make_run(), model, case, hub_rows.RIGHT_TEXT)
    assert "Write 1 narrative" in check(client, model, unwritten="on")
    assert "1</b> of these cases has a narrative by this model" in " ".join(check(client, model).split())


def test_a_case_without_an_image_is_refused_by_name(client, admin):
    bare = make_case(image=False)
    html = check(client, hub_rows.make_model(), with_image="")
    assert bare.code in html and "it has no image" in html and "Write 1" not in html


def test_the_study_says_how_many_ratings_it_asks_for(client, admin):
    make_case()
    study = make_study(actor=admin, overlap=3)
    html = check(client, hub_rows.make_model(), study=study.public_id)
    assert ">3</b> ratings are asked for" in " ".join(html.split())


@pytest.mark.parametrize(("name", "value"), [("temperature", "9"), ("seed", "-1"), ("max_new_tokens", "0.5")])
def test_a_bad_setting_is_said_beside_its_field(client, admin, name, value):
    make_case()
    response = client.get(URL, {"check": "1", **fields(hub_rows.make_model(), **{name: value})})
    assert list(response.context["form"].errors) == [name]


def test_no_case_says_what_to_do(client, admin):
    assert "No case fits this choice" in check(client, hub_rows.make_model())


def test_without_a_model_the_page_says_so(client, admin):
    assert "No model is registered" in client.get(URL).content.decode()


@pytest.mark.parametrize("model", ["", "nonsense", "6f1c7f5e-9d6c-4a4e-8a57-1c1f0f0e7d11"])
def test_an_unknown_model_is_an_error_in_words(client, admin, model):
    hub_rows.make_model()
    response = client.get(URL, {"check": "1", "model": model})
    assert response.status_code == 200 and "model" in response.context["form"].errors


RECORD = {
    "temperature": 0.7,
    "seed": 1234,
    "bias_mode": None,
    "identity": {
        "backend": "transformers",
        "weights_sha256": "ab" * 32,
        "bias_mode": "first_token",
        "device": "cuda",
        "notes": ["branch off: in_proj is missing"],
        "versions": {"torch": "2.13.0+cu130"},
    },
    "details": {"prompt_tokens": 321},
}


def test_a_narratives_page_tells_how_it_was_written(client, admin):
    model = hub_rows.make_model(name="Model A")
    row = hub_rows.make_generation(hub_rows.make_run(), model, make_case(), hub_rows.RIGHT_TEXT, settings=RECORD)
    run_page = client.get(reverse("modelhub:run_detail", args=[row.run.public_id])).content.decode()
    address = reverse("modelhub:generation_detail", args=[row.public_id])
    assert address in run_page
    page = unescape(client.get(address).content.decode())
    shown = [
        "Model A",
        "transformers",
        "ab" * 32,
        "first_token",
        "cuda",
        "1,234",
        "0.7",
        "2.13.0+cu130",
        "321",
        "27 tok",
    ]
    for words in [*shown, "27 tokens/s", "Branch off: in_proj is missing.", row.prompt.text, str(row.prompt)]:
        assert words in page, words


def test_a_narrative_that_is_still_to_come_has_a_page_too(client, admin):
    row = hub_rows.make_generation(hub_rows.make_run(), hub_rows.make_model(), make_case())
    page = client.get(reverse("modelhub:generation_detail", args=[row.public_id])).content.decode()
    assert "Nothing is written yet" in page and "not counted" in page
