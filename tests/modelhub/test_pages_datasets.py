"""DermCoT's pages: what is certified now, freezing, versions, downloads, retraining."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from modelhub.models import Run, Training
from modelhub.views.dataset_overview import cell
from scoring.models import DatasetVersion, Split
from tests.factories import make_administrator, make_case, make_researcher
from tests.modelhub import hub_rows
from tests.modelhub.datasets import certify, make_dermbench, make_dermcot

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client):
    user = make_administrator()
    client.force_login(user)
    return user


def flat(response) -> str:
    return " ".join(response.content.decode().split())


def test_nothing_certified_says_what_to_do(client, admin):
    html = flat(client.get(reverse("modelhub:dermcot")))
    assert "No study has started" in html


def test_certified_texts_are_counted_by_diagnosis_and_tone(client, admin):
    cases = [make_case(diagnosis="psoriasis", skin_tone=tone) for tone in ("dark", "light", "light")]
    certify([*cases, make_case(diagnosis="eczema", skin_tone="light")])
    table = client.get(reverse("modelhub:dermcot")).context["crosstab"]
    assert table.scales == (("three-level", 2),) and table.tones == ("light", "dark")
    rows = {name: ([c.count for c in cells], total) for name, cells, total in table.rows}
    assert rows == {"eczema": ([1, 0], 1), "psoriasis": ([2, 1], 3)} and table.totals == (3, 1)


def test_the_scale_of_the_tones_is_named(client, admin):
    certify([make_case(skin_tone="IV", skin_tone_scale="Fitzpatrick")])
    assert "Skin tone, Fitzpatrick scale" in flat(client.get(reverse("modelhub:dermcot")))


def test_evaluation_cases_are_not_dermcots(client, admin):
    certify([make_case(split=Split.EVALUATION)])
    assert client.get(reverse("modelhub:dermcot")).context["crosstab"] is None
    assert client.get(reverse("modelhub:dermbench")).context["crosstab"] is not None


def test_the_depth_of_a_cell_follows_its_count():
    assert [cell(n, 8).level for n in (0, 1, 2, 3, 8)] == [0, 1, 1, 2, 4]


def test_freezing(client, admin):
    study = certify([make_case()])
    values = {"kind": "dermcot", "study": study.public_id}
    response = client.post(reverse("modelhub:dataset_freeze"), values, follow=True)
    dataset = DatasetVersion.objects.get()
    assert response.redirect_chain[-1][0] == reverse("modelhub:dataset_detail", args=[dataset.public_id])
    assert "DermCoT v1 is frozen with 1 items." in flat(response) and dataset.created_by == admin
    assert "Nothing has changed since" in flat(client.post(reverse("modelhub:dataset_freeze"), values, follow=True))


def test_freezing_for_no_study_is_refused(client, admin):
    response = client.post(reverse("modelhub:dataset_freeze"), {"kind": "dermcot", "study": "x"}, follow=True)
    assert "Choose a study that has started." in flat(response)


def test_a_version_lists_its_items_and_hash(client, admin):
    dataset = make_dermcot(3)
    html = flat(client.get(reverse("modelhub:dataset_detail", args=[dataset.public_id])))
    assert dataset.content_hash in html
    for item in dataset.items.select_related("version__narrative__case"):
        assert item.version.narrative.case.code in html


def test_a_long_version_costs_no_more_queries(client, admin):
    def queries(dataset) -> int:
        with CaptureQueriesContext(connection) as seen:
            client.get(reverse("modelhub:dataset_detail", args=[dataset.public_id]))
        return len(seen)

    assert queries(make_dermcot(2)) == queries(make_dermcot(9))


def test_many_versions_cost_no_more_queries(client, admin):
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            client.get(reverse("modelhub:dermcot"))
        return len(seen)

    study = make_dermcot(1).study
    few = queries()
    for _ in range(8):
        hub_rows.make_artifact(hub_rows.make_dataset(study=study, actor=admin))
    assert queries() == few


def test_researchers_may_ask_for_a_download(client):
    client.force_login(make_researcher())
    dataset = make_dermcot(1)
    client.post(reverse("modelhub:dataset_export", args=[dataset.public_id]))
    assert Run.objects.get(kind=Run.Kind.EXPORT).plan["dataset"] == str(dataset.public_id)


def test_a_finished_export_is_offered(client, admin):
    artifact = hub_rows.make_artifact(make_dermcot(1))
    html = flat(client.get(reverse("modelhub:dermcot")))
    assert reverse("modelhub:artifact", args=[artifact.public_id]) in html


def test_a_download_is_an_attachment_with_its_bytes(client, admin):
    artifact = hub_rows.make_artifact(hub_rows.make_dataset(actor=admin), b"PK-the-bytes")
    response = client.get(reverse("modelhub:artifact", args=[artifact.public_id]))
    assert b"".join(response.streaming_content) == b"PK-the-bytes"
    assert response["Content-Disposition"] == 'attachment; filename="dermcot-v1.zip"'


def test_a_download_whose_file_is_gone_says_so(client, admin):
    artifact = hub_rows.make_artifact(hub_rows.make_dataset(actor=admin))
    artifact.file.storage.delete(artifact.file.name)
    assert client.get(reverse("modelhub:artifact", args=[artifact.public_id])).status_code == 404


def test_retraining_starts_with_what_was_entered(client, admin):
    dataset, base = make_dermcot(1), hub_rows.make_model()
    values = {"base": base.public_id, "recipe": "both", "teacher": "tiny-teacher", "epochs": "3", "lr": "0.001"}
    response = client.post(reverse("modelhub:retrain", args=[dataset.public_id]), values)
    training = Training.objects.get()
    assert response.url == reverse("modelhub:run_detail", args=[training.run.public_id])
    settings = training.settings
    assert (settings["recipe"], settings["epochs"], settings["lr"], settings["rank"]) == ("both", 3, 0.001, 16)
    assert training.run.plan["teacher"] == "tiny-teacher"


def test_a_training_that_is_refused_keeps_the_form(client, admin):
    dataset, base = make_dermcot(1), hub_rows.make_model()
    values = {"base": base.public_id, "epochs": "5000"}
    response = client.post(reverse("modelhub:retrain", args=[dataset.public_id]), values)
    assert response.status_code == 422 and list(response.context["form"].errors) == ["epochs"]
    assert not Training.objects.exists()


def test_nobody_trains_on_dermbench(client, admin):
    dataset = make_dermbench(1)
    assert client.get(reverse("modelhub:retrain", args=[dataset.public_id])).status_code == 404


def test_a_model_card_names_its_training_and_its_limits(client, admin):
    base, dataset = hub_rows.make_model(), hub_rows.make_dataset(actor=admin)
    adapter = hub_rows.make_model(kind="adapter", base=base, card={"notes": ["no branch found"], "parameters": 1200})
    run = hub_rows.make_run(kind=Run.Kind.TRAINING, title="Taught by v1", state="succeeded")
    Training.objects.create(run=run, base=base, dataset=dataset, result=adapter)
    html = flat(client.get(reverse("modelhub:model_detail", args=[adapter.public_id])))
    for words in (base.name, adapter.weights_hash, "Taught by v1", str(dataset), "no branch found", "1,200"):
        assert words in html
    assert "knows nothing of medicine" in html


def test_a_card_says_what_the_worker_found(client, admin):
    model = hub_rows.make_model(synthetic=False)
    settings = {"identity": {"branch_present": False, "parameters": 7, "notes": ["no side branch"]}}
    hub_rows.make_generation(hub_rows.make_run(), model, make_case(), hub_rows.RIGHT_TEXT, settings=settings)
    html = flat(client.get(reverse("modelhub:model_detail", args=[model.public_id])))
    assert "absent" in html and "no side branch" in html and "knows nothing of medicine" not in html


def test_many_models_cost_no_more_queries(client, admin):
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            client.get(reverse("modelhub:model_list"))
        return len(seen)

    def adapter(base) -> None:
        made = hub_rows.make_model(kind="adapter", base=base)
        dataset = hub_rows.make_dataset(actor=admin)
        Training.objects.create(run=hub_rows.make_run(), base=base, dataset=dataset, result=made)

    base = hub_rows.make_model()
    adapter(base)
    few = queries()
    for _ in range(6):
        adapter(base)
    assert queries() == few
