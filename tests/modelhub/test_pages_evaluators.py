"""The evaluators' pages: who they are, what could be read, what may be trusted, and starting an evaluation."""

import pytest
from django.urls import reverse

from modelhub.models import Evaluation, EvaluationRun, EvaluatorVersion, Run
from modelhub.services.evaluating import request_evaluation
from modelhub.services.evaluations import evaluator_version
from scoring.models import Case
from tests import factories
from tests.modelhub import hub_rows
from tests.modelhub.judges import make_endpoint, make_judge

pytestmark = pytest.mark.django_db
CANARIES = {
    "tried": 60,
    "judged": 60,
    "mean_shift": 0.81,
    "largest": 3.0,
    "room": 3.5,
    "by_style": {"claim": 0.5, "object": None},
    "limit": 0.25,
    "distrust": "planted scores move it by 0.81 points on average, more than 0.25",
}


@pytest.fixture
def admin(client):
    user = factories.make_administrator()
    client.force_login(user)
    return user


def page(client, name, *args, **kwargs) -> str:
    response = client.get(reverse(f"modelhub:{name}", args=args), **kwargs)
    assert response.status_code == 200
    return response.content.decode()


def study_of(count: int):
    study = factories.make_study()
    factories.make_queue(study, count)
    return study


def form(**changes):
    values = {"name": "Qwen judge", "protocol": "reference", "language": "en", "temperature": "0", "max_tokens": "1024"}
    return values | {"schema": "on", "model": make_endpoint().public_id} | changes


def test_a_judge_is_registered_and_its_page_shows_its_identity(client, admin):
    answer = client.post(reverse("modelhub:evaluator_register"), form(budget_tokens="5000", diagnosis="on"))
    row = EvaluatorVersion.objects.get()
    assert answer["Location"] == reverse("modelhub:evaluator_detail", args=[row.public_id])
    assert row.terms["budget_tokens"] == 5000 and row.identity["settings"]["max_tokens"] == 1024
    shown = page(client, "evaluator_detail", row.public_id)
    assert row.identity_hash in shown and row.prompt.content_hash in shown
    assert "===== CANDIDATE [[token]] BEGINS =====" in shown and "The right diagnosis: [[label]]" in shown
    assert "its canaries have not been tried yet" in shown


@pytest.mark.parametrize("changes", [{"images": "on"}, {"max_tokens": "3"}, {"budget_usd": "5"}, {"name": ""}])
def test_a_bad_setting_is_refused_on_the_form(client, admin, changes):
    answer = client.post(reverse("modelhub:evaluator_register"), form(**changes))
    assert answer.status_code == 422 and not EvaluatorVersion.objects.exists()
    assert "field-error" in answer.content.decode()


def test_limits_are_changed_and_the_identity_stays(client, admin):
    row = make_judge()
    client.post(reverse("modelhub:evaluator_terms", args=[row.public_id]), {"budget_tokens": "900"})
    before = row.identity_hash
    row.refresh_from_db()
    assert row.terms["budget_tokens"] == 900 and row.identity_hash == before
    answer = client.post(
        reverse("modelhub:evaluator_terms", args=[row.public_id]), {"budget_tokens": "-1"}, follow=True
    )
    row.refresh_from_db()
    assert row.terms["budget_tokens"] == 900 and "greater than or equal to 0" in answer.content.decode()


def test_an_evaluation_of_a_study_is_queued(client, admin):
    study, row = study_of(2), make_judge()
    assert f"study:{study.public_id}" in page(client, "evaluation_start")
    sent = {"evaluator": row.public_id, "pool": f"study:{study.public_id}"}
    answer = client.post(reverse("modelhub:evaluation_start"), sent)
    run = Run.objects.get(kind="evaluation")
    assert answer["Location"] == reverse("modelhub:run_detail", args=[run.public_id])
    assert EvaluationRun.objects.get(run=run).entries.count() == 2
    assert "pending" in page(client, "run_detail", run.public_id)


def test_what_cannot_be_evaluated_is_said_on_the_form(client, admin):
    study = study_of(1)
    sent = {"evaluator": "synthetic_truth", "pool": f"study:{study.public_id}"}
    answer = client.post(reverse("modelhub:evaluation_start"), sent)
    assert answer.status_code == 422 and Case.objects.get().code in answer.content.decode()


def finished(row: EvaluatorVersion, actor) -> Run:
    """A run as its worker leaves it."""
    run = request_evaluation(evaluator=row, pool=study_of(2), actor=actor)
    none = {"judged": 1, "missing": 1, "n": 1, "mean": 3.25, "low": None, "high": None, "reason": "one patient"}
    dimensions = dict.fromkeys(hub_rows.DIMENSION_KEYS, none)
    diagnosis = {"judged": 1, "right": 1, "of_judged": 1.0, "of_expected": 0.5}
    results = {"expected": 2, "scored": 1, "failed": 1, "pending": 0, "dimensions": dimensions, "diagnosis": diagnosis}
    results |= {"replies": 2, "tokens": 1234, "cost": 0.0123, "parse": {"parsed": 1, "failed": 1}}
    asked = EvaluationRun.objects.get(run=run)
    EvaluationRun.objects.filter(pk=asked.pk).update(results=results)
    one, other = asked.entries.order_by("pk")
    evaluation = Evaluation.objects.create(version=one.version, evaluator=row, run=run, parse_status="parsed")
    Evaluation.objects.create(version=other.version, evaluator=row, run=run, parse_status="failed", problem="x")
    asked.entries.filter(pk=one.pk).update(state="scored", evaluation=evaluation)
    asked.entries.filter(pk=other.pk).update(state="failed", error="The judge's answer could not be read: x.")
    Run.objects.filter(pk=run.pk).update(state="succeeded")
    return run


def test_a_run_shows_every_denominator_and_its_failures(client, admin):
    run = finished(make_judge(), admin)
    shown = page(client, "run_detail", run.public_id)
    assert "3.25" in shown and "1 of 1 judged, of 2 expected" in shown and "could not be read: x" in shown
    assert "0.0123" in shown and "1,234" in shown


def test_distrust_stands_on_every_page_with_the_scores(client, admin):
    row = make_judge()
    run = finished(row, admin)
    benchmark = hub_rows.make_benchmark(actor=admin)
    benchmark.evaluator = row
    benchmark.save()
    case = benchmark.entries.first().case.public_id
    pages = {
        reverse("modelhub:evaluator_detail", args=[row.public_id]): "Untrusted",
        reverse("modelhub:evaluator_list"): "untrusted",
        reverse("modelhub:run_detail", args=[run.public_id]): "Untrusted",
        reverse("modelhub:run_detail", args=[benchmark.run.public_id]): "Untrusted",
        reverse("modelhub:benchmark_detail", args=[benchmark.run.public_id]): "Untrusted",
        reverse("modelhub:dermbench"): "Untrusted",
        reverse("modelhub:compare") + f"?benchmark={benchmark.run.public_id}&case={case}": "Untrusted",
    }
    row.canaries = CANARIES
    row.save()
    assert [url for url, word in pages.items() if word not in client.get(url).content.decode()] == []
    row.canaries = CANARIES | {"distrust": "", "mean_shift": 0.1}
    row.save()
    assert [url for url, word in pages.items() if word in client.get(url).content.decode()] == []


def calibrated() -> dict:
    """A calibration as the worker stores it: one dimension with too few texts, one part with enough."""
    figure = {"value": 0.31, "low": 0.2, "high": 0.4, "reason": ""}
    names = ("bias", "mae", "constant_mae", "skill", "spearman", "kappa", "within_one")
    plain = dict.fromkeys(names, figure) | {"n": 40, "clusters": 20, "reason": ""}
    known = plain | {way: {"reason": "", "mae": figure, "skill": figure, "knots": []} for way in ("linear", "isotonic")}
    people = {"n": 40, "mean": 4.4, "low": 4.21, "high": 4.55, "reason": ""}
    known["curve"] = [{"from": 4.5, "to": 5.0, "n": 40, "machine": 4.9, "physicians": people}]
    few = {"n": 3, "clusters": 3, "reason": "fewer than 10 texts have both scores", "curve": []}
    dimensions = dict.fromkeys(hub_rows.DIMENSION_KEYS, known) | {"safety": few}
    enough = {"scale": "fitzpatrick", "value": "V", "n": 40, "dimensions": dict.fromkeys(dimensions, plain)}
    small = {"scale": "monk", "value": "V", "n": 3, "dimensions": dict.fromkeys(dimensions, few)}
    share = {"n": 50, "right": 40, "mean": 0.8, "low": 0.67, "high": 0.888, "reason": ""}
    again = {"n": 12, "reason": "", "exact": share, "within_one": share, "difference": people}
    return {
        "texts": 40,
        "ratings": 80,
        "simulated": 80,
        "learned_from": 7,
        "dimensions": dimensions,
        "groups": {"condition": [], "skin_tone": [enough, small], "source": [], "made": []},
        "parse": dict.fromkeys(dimensions, share),
        "retest": {"asked": 12, "failed": 1, "dimensions": dict.fromkeys(dimensions, again)},
        "former": None,
    }


def test_calibration_shows_skill_and_what_is_undefined(client, admin):
    row = make_judge()
    row.calibration = calibrated()
    row.save()
    shown = page(client, "evaluator_detail", row.public_id)
    assert "0.20 to 0.40" in shown and "Undefined: fewer than 10 texts" in shown and "80 are simulated" in shown
    assert "7 ratings are left out" in shown and "4.21 to 4.55" in shown and "<circle" in shown
    assert "fitzpatrick: V" in shown and "monk: V (3)" in shown
    assert "80.0" in shown and "66.9" not in shown and "67.0" in shown
    assert "12 texts, of which 1 gave no readable second answer" in shown


def test_a_version_that_leaves_the_old_one_s_interval_raises_an_alarm(client, admin):
    former, row = make_judge(), make_judge(temperature=0.5)
    alarm = {"dimension": "safety", "figure": "bias", "value": 0.71, "low": -0.1, "high": 0.2}
    found = {"evaluator": str(former.public_id), "identity": former.identity_hash, "n": 45, "reason": ""}
    row.calibration = calibrated() | {"former": found | {"alarms": [alarm]}}
    row.save()
    shown = page(client, "evaluator_detail", row.public_id)
    assert "This version leaves the interval" in shown and "Safety, Bias: +0.71" in shown
    assert "(before: −0.10 to +0.20)" in shown
    assert page(client, "evaluator_list").count("left the old interval") == 1
    row.calibration = calibrated() | {"former": found | {"alarms": []}}
    row.save()
    assert "stays within the intervals" in page(client, "evaluator_detail", row.public_id)
    assert "left the old interval" not in page(client, "evaluator_list")


def test_the_list_asks_the_same_number_of_questions_however_long_it_is(client, admin, django_assert_max_num_queries):
    model = make_endpoint()
    make_judge(model=model)
    page(client, "evaluator_list")
    with django_assert_max_num_queries(12) as few:
        page(client, "evaluator_list")
    for number in range(8):
        make_judge(model=model, temperature=number / 10 + 0.1, name=f"J{number}")
    with django_assert_max_num_queries(len(few.captured_queries)):
        page(client, "evaluator_list")


@pytest.mark.parametrize("make", [factories.make_dermatologist, factories.make_adjudicator])
def test_raters_are_kept_out(client, make):
    client.force_login(make())
    row = evaluator_version("synthetic_truth")
    urls = [reverse(f"modelhub:{name}") for name in ("evaluator_list", "evaluator_register", "evaluation_start")]
    urls.append(reverse("modelhub:evaluator_detail", args=[row.public_id]))
    assert {client.get(url).status_code for url in urls} == {403}
    assert client.post(reverse("modelhub:evaluator_terms", args=[row.public_id])).status_code == 403


def test_researchers_look_and_evaluate_and_do_not_register(client):
    client.force_login(factories.make_researcher())
    row = evaluator_version("synthetic_truth")
    assert row.name in page(client, "evaluator_list")
    page(client, "evaluator_detail", row.public_id)
    page(client, "evaluation_start")
    assert client.get(reverse("modelhub:evaluator_register")).status_code == 403
    assert client.post(reverse("modelhub:evaluator_terms", args=[row.public_id])).status_code == 403
