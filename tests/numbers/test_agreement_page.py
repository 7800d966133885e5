"""The agreement page: who sees it and whom by name, what it says of missing figures, its files."""

import csv
import io
import os
import subprocess
import sys

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bench.agreement_data import make_people, make_texts, simulate_study, store_ratings
from scoring.models import Agreement
from scoring.pseudonym import pseudonym
from scoring.services.agreement import SLOW_PARTS, refresh_agreement, refresh_part
from tests.factories import make_adjudicator, make_administrator, make_rater, make_researcher, make_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_study(overlap=3)


def computed(study) -> None:
    refresh_agreement(study=study)
    for part in SLOW_PARTS:
        refresh_part(agreement=Agreement.objects.get(study=study), part=part, resamples=50)


def page(client, user, study) -> str:
    client.force_login(user)
    response = client.get(reverse("study:agreement", args=[study.public_id]))
    assert response.status_code == 200
    return response.content.decode()


def rows_of(client, user, study, part) -> list[dict[str, str]]:
    client.force_login(user)
    response = client.get(reverse("study:agreement_file", args=[study.public_id, part]))
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(response.content.decode())))


def test_administrators_see_names_and_researchers_pseudonyms(client, study) -> None:
    people = simulate_study(study, texts=40, raters=3)
    computed(study)
    for_administrator = page(client, make_administrator(), study)
    for_researcher = page(client, make_researcher(), study)
    for person in people:
        assert person.display_name in for_administrator
        assert person.display_name not in for_researcher
        assert pseudonym(study.public_id, person.public_id) in for_researcher


def test_raters_and_adjudicators_do_not_see_it(client, study) -> None:
    for user in (make_rater(study), make_adjudicator()):
        client.force_login(user)
        for address in ("agreement", "policy"):
            assert client.get(reverse(f"study:{address}", args=[study.public_id])).status_code == 403
        assert client.get(reverse("study:agreement_file", args=[study.public_id, "raters"])).status_code == 403


def test_without_a_sealed_rating_it_says_what_to_wait_for(client, study) -> None:
    assert "No sealed rating yet." in page(client, make_administrator(), study)


def test_undefined_is_explained_and_never_zero(client, study) -> None:
    people, versions = make_people(2), make_texts(10)
    store_ratings(study, [(version, person, [5] * 6) for version in versions for person in people])
    computed(study)
    text = page(client, make_administrator(), study)
    assert "undefined: every score is the same level" in text
    assert "undefined: no two raters share 30 narratives yet" in text
    rows = rows_of(client, make_administrator(), study, "agreement")
    found = {(row["dimension"], row["statistic"]): row for row in rows}
    assert len(found) == 42
    assert found["Safety", "alpha"]["value"] == ""
    assert found["Safety", "alpha"]["reason"].startswith("undefined")
    assert float(found["Safety", "ac2"]["value"]) == 1
    assert found["Safety", "ac2"]["low"] == ""


def test_the_file_has_the_stored_figures(client, study) -> None:
    simulate_study(study, texts=60, raters=3)
    computed(study)
    stored = Agreement.objects.get(study=study)
    rows = {(r["dimension"], r["statistic"]): r for r in rows_of(client, make_researcher(), study, "agreement")}
    row = rows["Accuracy", "alpha"]
    assert float(row["value"]) == stored.figures["dimensions"]["accuracy"]["alpha"]["value"]
    assert float(row["low"]) < float(row["value"]) < float(row["high"])
    assert (row["resamples"], row["seed"], row["narratives"]) == ("50", str(study.seed), "60")
    pairs = rows_of(client, make_researcher(), study, "pairs")
    assert len(pairs) == 3
    raters = rows_of(client, make_researcher(), study, "raters")
    assert [float(r["severity"]) for r in raters] == sorted(float(r["severity"]) for r in raters)


def test_new_ratings_are_told_until_they_are_in(client, study) -> None:
    people = simulate_study(study, texts=20, raters=3)
    computed(study)
    store_ratings(study, [(make_texts(1)[0], people[0], [3] * 6)])
    assert "1 newer rating is being added." in page(client, make_administrator(), study)
    refresh_agreement(study=study)
    after = page(client, make_administrator(), study)
    assert "being added" not in after
    assert "Newer ones are being computed." in after


def test_it_reads_stored_figures_in_a_fixed_number_of_queries(client, study) -> None:
    simulate_study(study, texts=20, raters=3)
    computed(study)
    few = queries(client, study)
    simulate_study(study, texts=20, raters=12, seed=2)
    computed(study)
    assert queries(client, study) == few


def queries(client, study) -> int:
    administrator = make_administrator()
    page(client, administrator, study)
    with CaptureQueriesContext(connection) as found:
        page(client, administrator, study)
    return len(found)


def test_the_web_process_does_not_load_numpy_for_it() -> None:
    code = (
        "import django; django.setup(); import annotator.numbers.urls, sys;"
        "print([name for name in ('numpy', 'scipy', 'torch') if name in sys.modules])"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "annotator.settings"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.strip() == "[]"
