"""DermCoT drafts: three stages of each case kept and typed, leaks held, conditioning declared."""

import csv
import io
import json
import zipfile
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from modelhub.drafting.recipe import NAMES, prompt_words
from modelhub.jobs import loaded_models
from modelhub.models import Draft, DraftStage, Generation, PromptVersion, Run
from modelhub.services.drafting import pass_leak
from modelhub.services.filtering import freeze_filter, threshold_version
from modelhub.services.preferences import ask_preferences
from modelhub.services.runs import continue_run
from scoring.exporters.archive import write_archive
from scoring.exporters.study_report import write_study
from scoring.models import Assignment, NarrativeVersion
from scoring.services.narratives import revise_version
from tests.chat_server import ChatServer, chat, chat_server
from tests.factories import make_administrator, make_case, make_rater, make_study, rate
from tests.modelhub.checkpoints import SHORT, make_base
from tests.modelhub.drafters import (
    CAPTION,
    NARRATIVE,
    REASONING,
    ask,
    counts,
    drafter,
    endpoint,
    finished,
    stage_of,
    stages,
)
from tests.modelhub.hub_rows import make_evaluation_run

pytestmark = pytest.mark.django_db
LEAKY = "A plaque of seborrheic keratosis on the forearm."


@pytest.fixture
def server():
    with chat_server() as running:
        running.answer = drafter()
        yield running
    loaded_models.release_models()


class TestStages:
    def test_every_stage_is_kept_with_the_words_that_asked_for_it(self, server: ChatServer):
        model, cases = endpoint(server.url), [make_case(), make_case()]
        run = finished(ask(model, cases))
        assert (run.state, run.message) == ("succeeded", "2 drafts finished"), run.error
        assert run.queue == "gpu" and run.progress_done == 2
        for draft in run.drafting.drafts.all():
            caption, reasoning, narrative = draft.stages.order_by("pk")
            assert [one.kind for one in (caption, reasoning, narrative)] == ["caption", "reasoning", "narrative"]
            assert (caption.text, reasoning.text, narrative.text) == (CAPTION, REASONING, NARRATIVE)
            assert CAPTION in reasoning.asked and CAPTION in narrative.asked and REASONING in narrative.asked
            assert caption.identity["served_model"] == "m" and caption.identity["endpoint_sha256"] == model.weights_hash
            assert (caption.tokens, caption.prompt_tokens) == (7, 11) and caption.seconds > 0
            assert len({one.key for one in draft.stages.all()}) == 3
            assert draft.version.text == NARRATIVE and draft.version.narrative.case == draft.case
            kinds = {step["kind"] for step in draft.version.steps}
            assert kinds == {"findings", "reasoning", "diagnosis", "advice"}
        assert [stage_of(asked) for asked in server.asked if asked.images] == ["caption", "caption"]

    def test_prompts_are_files_whose_words_are_hashed_versions(self, server: ChatServer):
        run = finished(ask(endpoint(server.url), [make_case()], retry_leaks=True))
        hashes = run.drafting.manifest["prompts"]
        assert set(hashes) == set(NAMES) - {"reasoning_told"}
        for key, digest in hashes.items():
            row = PromptVersion.objects.get(content_hash=digest)
            assert (row.name, row.text) == (NAMES[key], prompt_words(key))

    def test_the_label_is_told_only_where_it_is_declared(self, server: ChatServer):
        model, case = endpoint(server.url), make_case(diagnosis="granuloma faciale")
        blind = finished(ask(model, [case]))
        assert not any("granuloma faciale" in asked.prompt.lower() for asked in server.asked)
        told = finished(ask(model, [case], conditioning="label_at_reasoning"))
        asked = [asked for asked in server.asked if "granuloma faciale" in asked.prompt.lower()]
        assert [stage_of(one) for one in asked] == ["reasoning"]
        assert [d.version.conditioning for d in Draft.objects.order_by("pk")] == ["none", "label_at_reasoning"]
        assert blind.drafting.recipe_hash != told.drafting.recipe_hash
        assert stages(told, "narrative")[0].flags == [{"kind": "against_label", "words": "Seborrhoeic keratosis."}]

    def test_a_caption_of_another_recipe_is_used_again_and_costs_nothing(self, server: ChatServer):
        server.answer = drafter(reasoning=lambda asked: f"{REASONING} {'is known to you' in asked.prompt}.")
        model, case = endpoint(server.url), make_case()
        first = finished(ask(model, [case]))
        second = finished(ask(model, [case], conditioning="label_at_reasoning"))
        assert [stage_of(asked) for asked in server.asked] == [
            "caption", "reasoning", "narrative", "reasoning", "narrative",
        ]  # fmt: skip
        (copied,) = stages(second, "caption")
        assert copied.copied_from == stages(first, "caption")[0] and copied.text == CAPTION
        assert (first.drafting.tokens_spent(), second.drafting.tokens_spent()) == (54, 36)

    def test_any_registered_model_drafts_and_what_it_cannot_is_counted(self):
        run = finished(ask(make_base(), [make_case(), make_case()], settings=SHORT, retry_leaks=False))
        assert run.drafting.drafts.exclude(state="pending").count() == 2
        first = stages(run, "caption")
        assert len(first) == 2 and all(one.identity["backend"] == "transformers" for one in first)
        loaded_models.release_models()


class TestLeaks:
    def test_a_caption_that_names_a_diagnosis_stops_its_draft_and_is_kept(self, server: ChatServer):
        server.answer = drafter(caption=LEAKY)
        run = finished(ask(endpoint(server.url), [make_case()], retry_leaks=False))
        assert (run.state, run.message) == ("succeeded", "0 drafts finished, 1 held for a leak")
        assert counts(run) == {"pending": 0, "done": 0, "leak": 1, "failed": 0}
        (caption,) = DraftStage.objects.all()
        assert (caption.state, caption.text) == ("leak", LEAKY)
        assert caption.flags == [{"kind": "names_reference", "words": "seborrheic keratosis"}]
        assert not NarrativeVersion.objects.exists() and len(server.asked) == 1

    def test_it_is_asked_for_once_more_where_the_settings_say_so(self, server: ChatServer):
        server.answer = drafter(caption=lambda asked: CAPTION if "thrown away" in asked.prompt else LEAKY)
        run = finished(ask(endpoint(server.url), [make_case()]))
        assert counts(run)["done"] == 1
        assert [one.state for one in stages(run, "caption")] == ["leak", "done"]
        assert LEAKY not in stages(run, "reasoning")[0].asked

    def test_and_never_a_third_time(self, server: ChatServer):
        server.answer = drafter(caption=LEAKY)
        run = finished(ask(endpoint(server.url), [make_case()]))
        assert len(server.asked) == 2 and counts(run)["leak"] == 1

    def test_a_label_of_the_studio_itself_counts_as_a_diagnosis(self, server: ChatServer):
        make_case(diagnosis="Zoon balanitis")
        server.answer = drafter(caption="Looks like Zoon  Balanitis.")
        run = finished(ask(endpoint(server.url), [make_case()], retry_leaks=False))
        assert stages(run, "caption")[0].flags == [{"kind": "names_diagnosis", "words": "Zoon  Balanitis"}]

    def test_a_narrative_that_betrays_the_label_is_held(self, server: ChatServer):
        server.answer = drafter(
            narrative=NARRATIVE.replace("The greasy", "As the provided diagnosis states, the greasy")
        )
        run = finished(ask(endpoint(server.url), [make_case()], conditioning="label_at_reasoning"))
        assert counts(run)["leak"] == 1 and not NarrativeVersion.objects.exists()
        held = stages(run, "narrative")
        assert [one.state for one in held] == ["leak", "leak"]
        assert held[0].flags == [{"kind": "told", "words": "provided diagnosis"}]

    def test_an_administrator_lets_it_pass_for_a_reason_and_the_run_goes_on(self, server: ChatServer):
        admin = make_administrator()
        server.answer = drafter(caption=LEAKY)
        run = finished(ask(endpoint(server.url), [make_case()], retry_leaks=False))
        draft = run.drafting.drafts.get()
        with pytest.raises(ValidationError, match="why this text may pass"):
            pass_leak(draft=draft, note=" ", actor=admin)
        pass_leak(draft=draft, note="It is a word of morphology here.", actor=admin)
        run.refresh_from_db()
        assert run.state == "queued"
        finished(run)
        draft.refresh_from_db()
        assert draft.state == "done" and LEAKY in stages(run, "narrative")[0].asked
        passed = stages(run, "caption")[0]
        assert (passed.state, passed.passed_by, passed.pass_note) == (
            "leak", admin, "It is a word of morphology here.",
        )  # fmt: skip
        assert [stage_of(asked) for asked in server.asked] == ["caption", "reasoning", "narrative"]
        with pytest.raises(ValidationError, match="not held"):
            pass_leak(draft=draft, note="again", actor=admin)

    def test_nothing_is_let_pass_while_the_run_is_at_work(self, server: ChatServer):
        server.answer = drafter(caption=LEAKY)
        run = finished(ask(endpoint(server.url), [make_case()], retry_leaks=False))
        Run.objects.filter(pk=run.pk).update(state="queued")
        with pytest.raises(ValidationError, match="Wait until it has ended"):
            pass_leak(draft=run.drafting.drafts.get(), note="It may.", actor=make_administrator())
        run.refresh_from_db()
        with pytest.raises(ValidationError, match="has not ended yet"):
            continue_run(run=run, actor=None)
        assert counts(run)["leak"] == 1 and stages(run, "caption")[0].passed_at is None


class TestWhatBecomesOfThem:
    def test_they_wait_in_the_studys_queue_and_the_filter_keeps_them(self, server: ChatServer):
        admin, study = make_administrator(), make_study(overlap=2)
        finished(ask(endpoint(server.url), [make_case(), make_case()], study=study, conditioning="label_at_reasoning"))
        assert Assignment.objects.filter(study=study).count() == 4
        run = make_evaluation_run([(version, 5.0, 5.0) for version in NarrativeVersion.objects.order_by("pk")])
        threshold = threshold_version(evaluator=run.evaluator, minimum_mean=4, actor=admin)
        part = freeze_filter(evaluation=run, threshold=threshold, study=study, actor=admin)
        assert {item.record["conditioning"] for item in part.items.all()} == {"label_at_reasoning"}
        manifest, records, card = archive_of(part)
        assert manifest["conditioning"] == {"label_at_reasoning": 2}
        assert {record["conditioning"] for record in records} == {"label_at_reasoning"}
        assert "had been told the reference diagnosis" in card

    def test_a_studys_report_declares_it_with_every_score(self, server: ChatServer):
        study = make_study(overlap=1)
        finished(ask(endpoint(server.url), [make_case()], study=study, conditioning="label_at_reasoning"))
        rate(study, make_rater(study))
        stream = io.BytesIO()
        write_study(study, stream)
        with zipfile.ZipFile(stream) as archive:
            scores = list(csv.DictReader(io.TextIOWrapper(archive.open("scores.csv"), encoding="utf-8")))
            assert "conditioning" in archive.read("codebook.csv").decode()
        assert [row["conditioning"] for row in scores] == ["label_at_reasoning"] * 6
        assert {row["edited"] for row in scores} == {"0"} and {row["level"] for row in scores} == {"5.0"}

    def test_a_correction_stays_conditioned(self, server: ChatServer):
        finished(ask(endpoint(server.url), [make_case()], conditioning="label_at_reasoning"))
        version = NarrativeVersion.objects.get()
        revised = revise_version(version=version, text=version.text + " Soon.", author=make_administrator())
        assert revised.conditioning == "label_at_reasoning"

    def test_a_draft_is_no_candidate_of_a_model(self, server: ChatServer):
        """Comparisons, benchmarks and leaderboards read generations; a draft makes none."""
        one, other = endpoint(server.url), endpoint(server.url, name="Other", served_model="n")
        case = make_case()
        for model in (one, other):
            finished(ask(model, [case], conditioning="label_at_reasoning"))
        assert NarrativeVersion.objects.count() == 2 and not Generation.objects.exists()
        with pytest.raises(ValidationError, match="No case has a text by both"):
            ask_preferences(study=make_study(), first=one, second=other, actor=None, first_arm="A", second_arm="B")


def archive_of(dataset: Any) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    stream = io.BytesIO()
    write_archive(dataset, stream)
    with zipfile.ZipFile(stream) as archive:
        records = [json.loads(line) for line in archive.read("records.jsonl").splitlines()]
        return json.loads(archive.read("manifest.json")), records, archive.read("README.md").decode()


def test_the_chat_server_tells_the_stages_apart(server: ChatServer):
    """The other tests rest on it."""
    finished(ask(endpoint(server.url), [make_case()]))
    assert [stage_of(asked) for asked in server.asked] == ["caption", "reasoning", "narrative"]
    assert chat().status == 200
