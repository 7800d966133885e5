"""The filter: a versioned threshold keeps candidates; what is kept is a part of its own and says so in every export."""

import io
import json
import zipfile
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from modelhub.models import EvaluatorVersion, Run
from modelhub.services.evaluations import evaluator_version
from modelhub.services.filtering import FilterPreview, freeze_filter, passes, preview_filter, threshold_version
from modelhub.services.training import check_dataset
from scoring.exporters.archive import write_archive
from scoring.models import DatasetVersion, NarrativeVersion, Split, Study
from scoring.rubric import DIMENSION_KEYS
from scoring.services.datasets import freeze_dataset, verify_dataset
from scoring.services.queue import enqueue_versions
from tests.factories import make_administrator, make_case, make_rater, make_researcher, make_study, make_version, rate
from tests.modelhub.hub_rows import make_evaluation_run

pytestmark = pytest.mark.django_db


def queued(study: Study, count: int, **case_fields: Any) -> list[NarrativeVersion]:
    versions = [make_version(case=make_case(**case_fields)) for _ in range(count)]
    enqueue_versions(study=study, versions=versions, actor=None)
    return versions


def test_a_threshold_is_a_version_and_an_unread_score_is_never_kept() -> None:
    row = evaluator_version("synthetic_truth")
    first = threshold_version(evaluator=row, minimum_mean=4, minimum_each=3, actor=None)
    assert threshold_version(evaluator=row, minimum_mean=4.0, minimum_each=3.0, actor=None) == first
    assert threshold_version(evaluator=row, minimum_mean=4.1, actor=None).number == first.number + 1
    scores: dict[str, float | None] = dict.fromkeys(DIMENSION_KEYS, 4.0)
    assert passes(scores, first) is True
    assert passes(scores | {"safety": 2.9}, first) is False
    assert passes(scores | {"safety": None}, first) is None
    with pytest.raises(ValidationError, match="between 0 and 5"):
        threshold_version(evaluator=row, minimum_mean=6, actor=None)


def test_what_is_kept_is_frozen_apart_from_what_is_certified() -> None:
    actor, study = make_administrator(), make_study(overlap=1)
    (certified,) = queued(study, 1)
    rate(study, make_rater(study))
    kept, (unread, poor) = queued(study, 2), queued(study, 2)
    (held_out,) = queued(study, 1, split=Split.EVALUATION)
    values = [(version, 5.0, 5.0) for version in (*kept, certified, held_out)]
    run = make_evaluation_run([*values, (unread, 5.0, None), (poor, 5.0, 1.0)])
    threshold = threshold_version(evaluator=run.evaluator, minimum_mean=4, minimum_each=3, actor=actor)
    seen = preview_filter(evaluation=run, threshold=threshold, study=study)
    assert seen == FilterPreview(expected=6, kept=4, below=1, unread=1, failed=0, pending=0, usable=2)

    part = freeze_filter(evaluation=run, threshold=threshold, study=study, actor=actor)
    assert {item.version for item in part.items.all()} == set(kept)
    assert part.kind == DatasetVersion.Kind.FILTERED
    assert part.rule_hash == threshold.content_hash
    assert all(item.record["part"] == "filtered" and item.certification is None for item in part.items.all())
    assert verify_dataset(part).intact
    check_dataset(part)  # it may be trained on, under its own name

    dermcot = freeze_dataset(kind="dermcot", study=study, actor=actor)
    assert {item.record["part"] for item in dermcot.items.all()} == {"certified"}
    narratives = {item.version.narrative_id for item in dermcot.items.all()}
    assert not narratives & {item.version.narrative_id for item in part.items.all()}
    with pytest.raises(ValidationError, match="Nothing has changed"):
        freeze_filter(evaluation=run, threshold=threshold, study=study, actor=actor)


def test_an_export_declares_the_part_of_every_item() -> None:
    actor, study = make_administrator(), make_study(overlap=1)
    run = make_evaluation_run([(version, 5.0, 5.0) for version in queued(study, 2)])
    threshold = threshold_version(evaluator=run.evaluator, minimum_mean=4, actor=actor)
    part = freeze_filter(evaluation=run, threshold=threshold, study=study, actor=actor)
    stream = io.BytesIO()
    report = write_archive(part, stream)
    assert (report.records, report.ratings) == (2, 0)
    with zipfile.ZipFile(stream) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        records = [json.loads(line) for line in archive.read("records.jsonl").splitlines()]
        card = archive.read("README.md").decode()
        assert len(archive.read("train.jsonl").splitlines()) == 2
    assert manifest["part"] == "filtered"
    assert manifest["rule"]["content_hash"] == threshold.content_hash
    assert {record["part"] for record in records} == {"filtered"}
    assert records[0]["evidence"]["evaluator"] == run.evaluator.identity_hash
    assert "No dermatologist certified them" in card
    assert part.rule in card


def test_nothing_kept_another_evaluator_and_an_unfinished_run_are_refused() -> None:
    actor, study = make_administrator(), make_study(overlap=1)
    run = make_evaluation_run([(version, 2.0, 2.0) for version in queued(study, 1)])
    threshold = threshold_version(evaluator=run.evaluator, minimum_mean=4, actor=actor)
    with pytest.raises(ValidationError, match="would be empty"):
        freeze_filter(evaluation=run, threshold=threshold, study=study, actor=actor)
    other = EvaluatorVersion.objects.create(
        name="Other", provider="judge", identity={}, identity_hash="0" * 64, rubric=run.evaluator.rubric
    )
    with pytest.raises(ValidationError, match="did not score these texts"):
        freeze_filter(
            evaluation=run,
            threshold=threshold_version(evaluator=other, minimum_mean=4, actor=actor),
            study=study,
            actor=actor,
        )
    run.run.state = Run.State.RUNNING
    with pytest.raises(ValidationError, match="has not finished"):
        freeze_filter(evaluation=run, threshold=threshold, study=study, actor=actor)
    assert not DatasetVersion.objects.exists()


def test_the_page_previews_then_freezes(client: Any) -> None:
    study = make_study(overlap=1)
    run = make_evaluation_run([(version, 5.0, 5.0) for version in queued(study, 2)])
    client.force_login(make_administrator())
    url = reverse("modelhub:filter_candidates", args=[run.run.public_id])
    assert client.get(url).status_code == 200
    asked = {"study": study.public_id, "minimum_mean": 4, "minimum_each": 3}
    assert "Would be frozen" in client.post(url, asked).content.decode()
    assert not DatasetVersion.objects.exists()
    done = client.post(url, asked | {"freeze": "1"}, follow=True)
    assert "Filtered, not certified" in done.content.decode()
    assert DatasetVersion.objects.get().item_count == 2
    client.force_login(make_researcher())
    assert client.get(url).status_code == 403
