"""Marks leave the studio as labels of single steps, with offsets that cut out the very same words."""

import io
import json
import uuid
import zipfile

import pytest

from scoring.exporters.archive import write_archive
from scoring.pseudonym import pseudonym
from scoring.services.datasets import DERMCOT, freeze_dataset
from scoring.services.queue import enqueue_versions
from scoring.services.ratings import MarkInput, correct_rating, submit_rating
from scoring.services.revising import submit_revision
from tests.factories import claim, make_administrator, make_case, make_rater, make_study, make_version, rate, scores

pytestmark = pytest.mark.django_db
TEXT = "<think> 👩🏽\u200d⚕️ Une plaque brune. Considérer un mélanome. </think><answer> Mélanome. </answer>"


def exported(dataset) -> tuple[list[dict], bytes]:
    buffer = io.BytesIO()
    write_archive(dataset, buffer)
    lines = zipfile.ZipFile(buffer).read("step_labels.jsonl").decode().splitlines()
    return [json.loads(line) for line in lines], buffer.getvalue()


def submit(study, rater, value, *marks):
    return submit_rating(
        assignment=claim(study, rater), rater=rater, client_uuid=uuid.uuid4(), scores=scores(value), marks=marks
    )


def test_labels_of_the_draft_and_of_its_certified_revision_are_exported_as_frozen() -> None:
    study = make_study()
    draft = make_version(case=make_case(diagnosis="Mélanome"), text=TEXT)
    enqueue_versions(study=study, versions=[draft], actor=None)
    author, *others = (make_rater(study) for _ in range(3))
    slot = claim(study, author)
    span = {"span_start": TEXT.index("brune"), "span_end": TEXT.index("brune") + 5}
    wrong = MarkInput(step=1, verdict="error", error_type="wrong_term", severity="minor", note="grethe", **span)
    first = submit_rating(assignment=slot, rater=author, client_uuid=uuid.uuid4(), scores=scores(3), marks=[wrong])
    revised = submit_revision(assignment=slot, rater=author, replacements={1: "👩🏽\u200d⚕️ Une plaque rouge."})
    submit(study, others[0], 5, MarkInput(step=1, verdict="ok"))
    rate(study, others[1], 5)
    dataset = freeze_dataset(kind=DERMCOT, study=study, actor=make_administrator())
    (of_draft, of_revision), before = exported(dataset)
    assert [of_draft["released"], of_revision["released"]] == [False, True]
    (label,) = of_draft["steps"][0]["labels"]
    start, end = label["span"]
    assert of_draft["text"][start:end] == "brune"
    assert (label["error_type"], label["severity"], label["informed"]) == ("wrong_term", "minor", False)
    assert label["rater"] == pseudonym(study.public_id, author.public_id)
    assert "grethe" not in json.dumps(of_draft)
    assert of_revision["version"] == str(revised.public_id)
    assert [label["verdict"] for label in of_revision["steps"][0]["labels"]] == ["ok"]
    assert [step["labels"] for step in of_revision["steps"][1:]] == [[], []]
    correct_rating(rating=first, rater=author, client_uuid=uuid.uuid4(), scores=scores(4))
    assert exported(dataset)[1] == before
