"""The study report: what was left behind on the way adds up, power, groups, and the ZIP for a co-author."""

import csv
import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
from django.urls import reverse
from django.utils.translation import override

from bench.agreement_data import make_people, make_texts, simulate_study, store_ratings
from modelhub.models import Artifact, Run
from modelhub.tasks import run_on_default
from scoring.agreement.power import power_table
from scoring.exporters.study_report import CODEBOOK, write_study
from scoring.models import Agreement, Assignment, Narrative, NarrativeVersion, Rating
from scoring.pseudonym import pseudonym
from scoring.services.agreement import GROUPS, refresh_agreement, refresh_part
from scoring.services.queue import skip_assignment
from scoring.services.study_flow import study_flow
from tests.factories import claim, make_administrator, make_queue, make_rater, make_researcher, make_study, rate

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_study(overlap=2)


def flow_of(study) -> dict[str, int]:
    return {step.step: step.count for step in study_flow(study)}


def files_of(study) -> dict[str, bytes]:
    target = io.BytesIO()
    write_study(study, target)
    with zipfile.ZipFile(target) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_flow_adds_up(study) -> None:
    make_queue(study, 3)
    first, second = make_rater(study), make_rater(study)
    rate(study, first, 4, accuracy=None)
    rate(study, first, 5)
    rate(study, second, 3)
    Rating.objects.filter(rater=first).update(sealed_at="2026-01-01T00:00Z")
    found = flow_of(study)
    assert found["narratives sampled"] == 3
    assert found["narratives rated"] + found["narratives without a rating that counts"] == 3
    given = found["ratings planned"] - found["withdrawn with their narrative"] - found["not given yet"]
    assert (found["ratings planned"], given) == (6, found["ratings given"])
    assert found["ratings given"] == 3
    analysed = found["ratings given"] - found["not sealed yet"] - found["informed from the start"]
    assert analysed == found["ratings analysed"] == 2
    assert found["not sealed yet"] == 1
    assert found["scores analysed"] == found["scores of the analysed ratings"] - found["could not be judged"] == 11


def test_skips_and_excluded_raters_are_counted(study) -> None:
    make_queue(study, 2)
    rater = make_rater(study)
    skip_assignment(assignment=claim(study, rater), rater=rater, reason="outside_expertise")
    rate(study, rater, 4)
    Rating.objects.update(purpose=Assignment.Purpose.EXCLUDED)
    found = flow_of(study)
    assert found["skipped: outside my expertise"] == 1
    assert found["ratings of excluded raters, given again by others"] == 1


def test_the_zip_holds_every_score_and_its_checksums_fit(study) -> None:
    people = simulate_study(study, texts=6, raters=3)
    files = files_of(study)
    rows = list(csv.DictReader(io.StringIO(files["scores.csv"].decode())))
    assert len(rows) == 6 * 3 * 6
    assert tuple(rows[0]) == tuple(name for name, _ in CODEBOOK)
    assert {row["rater"] for row in rows} == {pseudonym(study.public_id, person.public_id) for person in people}
    assert {row["first"] for row in rows} == {"1"}
    stored = sorted(str(one) for one in Rating.objects.values_list("public_id", flat=True))
    assert sorted({row["rating"] for row in rows}) == stored
    sums = dict(reversed(line.split("  ")) for line in files["SHA256SUMS"].decode().splitlines())
    assert set(sums) == set(files) - {"SHA256SUMS"}
    assert all(hashlib.sha256(files[name]).hexdigest() == digest for name, digest in sums.items())
    assert json.loads(files["protocol.json"])["hash"] == study.protocol_hash
    assert all(person.username not in content.decode() for content in files.values() for person in people)


def test_the_same_data_give_the_same_bytes(study) -> None:
    simulate_study(study, texts=3, raters=3)
    assert write_study(study, io.BytesIO()) == write_study(study, io.BytesIO())


def test_results_by_language_and_by_edited_text(study) -> None:
    people, versions = make_people(2), make_texts(8)
    store_ratings(study, [(v, p, [5 if i < 4 else 3] * 6) for i, v in enumerate(versions) for p in people])
    chinese = Narrative.objects.filter(versions__in=[v.pk for v in versions[4:]])
    chinese.update(language="zh-hans")
    NarrativeVersion.objects.filter(pk=versions[0].pk).update(origin="from_scratch")
    refresh_agreement(study=study)
    refresh_part(agreement=Agreement.objects.get(study=study), part=GROUPS)
    found = Agreement.objects.get(study=study).slow_parts[GROUPS]
    assert [
        (row["group"], row["texts"], row["ratings"], row["means"]["safety"]["mean"]) for row in found["by_language"]
    ] == [
        ("en", 4, 8, 5.0),
        ("zh-hans", 4, 8, 3.0),
    ]
    assert [(row["group"], row["texts"]) for row in found["by_origin"]] == [("draft", 7), ("from_scratch", 1)]
    assert found["by_language"][0]["means"]["safety"]["low"] is None  # no spread, so no interval


def test_the_file_is_in_english_whatever_language_asks(study) -> None:
    simulate_study(study, texts=4, raters=2)
    with override("zh-hans"):
        assert study_flow(study)[0].step != "cases sampled"
        target = io.BytesIO()
        write_study(study, target)
    assert b"cases sampled,2" in zipfile.ZipFile(target).read("flow.csv")


def test_power_is_that_of_simulated_studies() -> None:
    """A difference of 0.3 with spreads of 0.8 and 0.6, three raters, 100 cases: 2,000 z tests."""
    found = power_table(difference=0.3, between_texts=0.8, rest=0.6, raters=[3], cases=[100])
    random = np.random.default_rng(4)
    error = (2 * (0.8**2 + 0.6**2 / 3)) ** 0.5
    means = random.normal(0.3, error, size=(2_000, 100)).mean(axis=1)
    assert found.power[0][0] == pytest.approx((abs(means) / (error / 10) > 1.959964).mean(), abs=0.03)
    at_the_smallest = power_table(difference=found.smallest[0][0], between_texts=0.8, rest=0.6, raters=[3], cases=[100])
    assert at_the_smallest.power[0][0] == pytest.approx(0.8, abs=0.001)
    with pytest.raises(ValueError, match="above 0"):
        power_table(difference=0, between_texts=0.8, rest=0.6, raters=[3], cases=[100])


def test_staff_read_the_report_and_raters_do_not(client, study) -> None:
    simulate_study(study, texts=6, raters=3)
    rater = make_rater(study)
    client.force_login(rater)
    assert client.get(reverse("study:report", args=[study.public_id])).status_code == 403
    assert client.post(reverse("study:report_file", args=[study.public_id])).status_code == 403
    for user in (make_administrator(), make_researcher()):
        client.force_login(user)
        text = client.get(reverse("study:report", args=[study.public_id])).content.decode()
        assert "ratings analysed" in text
        assert study.protocol_hash[:16] in text
        assert (rater.display_name in text) == user.is_administrator
    refused = client.get(reverse("study:report", args=[study.public_id]), {"difference": "0"})
    assert refused.status_code == 422


def test_a_worker_writes_the_file_and_the_page_hands_out_the_newest(client, study) -> None:
    simulate_study(study, texts=6, raters=3)
    client.force_login(make_researcher())
    page, ask = (reverse(f"study:{name}", args=[study.public_id]) for name in ("report", "report_file"))
    assert client.get(ask).status_code == 405
    for _ in range(2):
        answer = client.post(ask)
        run = Run.objects.latest("pk")
        assert answer.url == reverse("modelhub:run_detail", args=[run.public_id])
        assert Artifact.objects.filter(run=run).count() == 0
        run_on_default(run.pk)
    artifact = Artifact.objects.latest("pk")
    run.refresh_from_db()
    assert (artifact.run, artifact.dataset, run.state) == (run, None, Run.State.SUCCEEDED)
    assert (run.progress_done, run.progress_total) == (6 * 3 * 6, 6 * 3 * 6)
    download = reverse("modelhub:artifact", args=[artifact.public_id])
    assert download in client.get(page).content.decode()
    assert download in client.get(reverse("modelhub:run_detail", args=[run.public_id])).content.decode()
    body = b"".join(client.get(download).streaming_content)
    assert hashlib.sha256(body).hexdigest() == artifact.sha256
    rows = zipfile.ZipFile(io.BytesIO(body)).read("scores.csv").decode().splitlines()
    assert len(rows) == 1 + 6 * 3 * 6
