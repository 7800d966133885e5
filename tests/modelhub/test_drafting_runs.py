"""Runs of drafts: what fails is counted, what is there is never asked for twice, what cannot be drafted is refused."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from modelhub.drafting.reading import Unread, structured
from modelhub.drafting.recipe import prompt_words
from modelhub.jobs import loaded_models
from modelhub.jobs.stages import PICTURE_TOKENS, Desk
from modelhub.models import Draft, DraftStage, Run
from modelhub.services.drafting import plan_drafting
from modelhub.services.runs import LeaseLost, request_cancel, retry_run
from scoring.models import Case, NarrativeVersion
from tests.chat_server import ChatServer, chat_server, error
from tests.factories import make_case, make_source, make_study
from tests.modelhub.drafters import NARRATIVE, SETTINGS, ask, counts, drafter, endpoint, finished, stages

pytestmark = pytest.mark.django_db


@pytest.fixture
def server():
    with chat_server() as running:
        running.answer = drafter()
        yield running
    loaded_models.release_models()


class TestFailures:
    def test_what_cannot_be_read_is_counted_and_kept(self, server: ChatServer):
        server.answer = drafter(narrative="I would rather talk about the weather.")
        run = finished(ask(endpoint(server.url), [make_case()]))
        assert run.state == "failed" and "No draft could be finished." in run.error
        draft = run.drafting.drafts.get()
        assert draft.state == "failed" and "could not be read" in draft.error and "Final diagnosis" in draft.error
        assert stages(run, "narrative")[0].text == "I would rather talk about the weather."

    def test_one_failure_leaves_the_others_alone_and_can_be_tried_again(self, server: ChatServer):
        server.answer = lambda asked, before: error(400, "no") if before == 0 else drafter()(asked, before)
        run = finished(ask(endpoint(server.url), [make_case(), make_case()]))
        assert (run.state, run.message) == ("succeeded", "1 drafts finished, 1 failed")
        kept = set(DraftStage.objects.filter(state="done").values_list("pk", flat=True))
        asked = len(server.asked)
        Run.objects.filter(pk=run.pk).update(state="failed", error="looked at by the administrator")
        run.refresh_from_db()
        finished(retry_run(run=run, actor=None))
        assert counts(run)["done"] == 2 and len(server.asked) == asked + 3
        assert kept < set(DraftStage.objects.filter(state="done").values_list("pk", flat=True))
        assert DraftStage.objects.filter(state="failed").count() == 1

    def test_a_budget_ends_a_try_and_the_next_one_goes_on(self, server: ChatServer):
        budget = len(prompt_words("caption").encode()) + SETTINGS["max_new_tokens"] + PICTURE_TOKENS + 10  # one caption
        run = finished(ask(endpoint(server.url), [make_case(), make_case()], budget_tokens=budget))
        assert run.state == "failed" and f"The budget of {budget:,} tokens a try is used up: 18 spent" in run.error
        assert counts(run)["pending"] == 2 and len(server.asked) == 1
        finished(retry_run(run=run, actor=None))
        assert run.state == "succeeded" and counts(run)["done"] == 2 and len(server.asked) == 6

    @pytest.mark.parametrize(
        "text",
        ["<think>never ends", "<think>a</think>", "Final Diagnosis\nEczema.", "a <image> b"],
    )
    def test_what_is_no_narrative_is_refused_with_the_reason(self, text):
        with pytest.raises(Unread, match=r"tokens|nothing|no part|picture"):
            structured(text)

    def test_both_published_forms_are_read_and_private_thinking_is_left_out(self):
        tagged = "<think>A plaque is seen. Eczema is considered because it itches.</think><answer>Eczema.</answer>"
        assert structured(tagged) == tagged
        assert structured(f"<think>hm</think>{NARRATIVE}") == NARRATIVE


class TestOnce:
    def test_the_same_settings_twice_make_no_second_row(self, server: ChatServer):
        model, cases = endpoint(server.url), [make_case(), make_case()]
        finished(ask(model, cases[:1]))
        chosen = Case.objects.all()
        plan = plan_drafting(
            cases=chosen, model=model, conditioning="none", settings={"do_sample": False, "max_new_tokens": 200}
        )
        assert (plan["cases"], plan["already"]) == (1, 1)
        finished(ask(model, cases, settings=SETTINGS | {"batch_size": 3}))
        with pytest.raises(ValidationError, match="already"):
            ask(model, cases)
        assert Draft.objects.count() == NarrativeVersion.objects.count() == 2 and len(server.asked) == 6

    def test_two_who_ask_at_the_same_moment(self, monkeypatch):
        model, case = endpoint("http://127.0.0.1:9/v1"), make_case()
        ask(model, [case])
        monkeypatch.setattr("modelhub.services.drafting.undrafted", lambda cases, recipe: cases)  # she looked before
        with pytest.raises(ValidationError, match="Somebody has just asked"):
            ask(model, [case])
        assert Run.objects.count() == Draft.objects.count() == 1

    def test_a_cancelled_run_goes_on_where_it_was(self, server: ChatServer):
        run = ask(endpoint(server.url), [make_case()])
        request_cancel(run=run, actor=None)
        assert finished(run).state == "cancelled" and not server.asked
        assert finished(retry_run(run=run, actor=None)).state == "succeeded" and counts(run)["done"] == 1

    def test_a_run_asks_in_its_recipes_words_whatever_the_files_say_later(self, server: ChatServer, monkeypatch):
        run = ask(endpoint(server.url), [make_case()])
        words = prompt_words("caption")
        monkeypatch.setattr("modelhub.drafting.recipe.prompt_words", lambda key: "Other words.")
        monkeypatch.setattr("modelhub.services.drafting.prompt_words", lambda key: "Other words.")
        finished(run)
        assert server.asked[0].prompt == words == stages(run, "caption")[0].prompt.text

    def test_a_stopped_run_asks_for_nothing_that_it_has(self, server: ChatServer, monkeypatch):
        """The lease is lost after the fourth stored answer: what is stored stays, the next attempt does the rest."""
        run, keep, stored = ask(endpoint(server.url), [make_case() for _ in range(3)]), Desk._keep, []

        def dies(self, question, row):
            if len(stored) == 4:
                raise LeaseLost("killed")
            stored.append(question.key)
            keep(self, question, row)

        with monkeypatch.context() as patched:
            patched.setattr(Desk, "_keep", dies)
            finished(run)
        assert run.state == "running" and DraftStage.objects.count() == 4
        before = len(server.asked)
        Run.objects.filter(pk=run.pk).update(state="queued", token=None, lease_expires=None)
        finished(run)
        assert (run.state, run.attempt, counts(run)["done"]) == ("succeeded", 2, 3), run.error
        assert len(server.asked) - before == 9 - 4
        assert DraftStage.objects.count() == 9 and NarrativeVersion.objects.count() == 3

    def test_killed_between_the_last_answer_and_the_narrative(self, server: ChatServer, monkeypatch):
        def dies(*_):
            raise LeaseLost("killed")

        run = ask(endpoint(server.url), [make_case()])
        with monkeypatch.context() as patched:
            patched.setattr("modelhub.jobs.drafting.finish", dies)
            finished(run)
        assert DraftStage.objects.count() == 3 and not NarrativeVersion.objects.exists()
        Run.objects.filter(pk=run.pk).update(state="queued", token=None, lease_expires=None)
        finished(run)
        assert run.state == "succeeded" and len(server.asked) == 3 and NarrativeVersion.objects.count() == 1


class TestRefusals:
    def test_pictures_that_must_stay_are_refused_by_name(self):
        case = make_case(source=make_source(may_leave_site=False))
        with pytest.raises(ValidationError, match=case.code):
            ask(endpoint("https://api.example.org/v1"), [case])

    @pytest.mark.parametrize(
        "bad",
        [
            {"conditioning": "sometimes"},
            {"budget_tokens": 0},
            {"settings": {"temperature": 0}},
            {"settings": {"no_repeat_ngram": 3}},
        ],
    )
    def test_nonsense_is_refused(self, bad: dict[str, Any]):
        with pytest.raises(ValidationError):
            ask(endpoint("http://127.0.0.1:9/v1"), [make_case()], **bad)
        assert not Run.objects.exists() and not Draft.objects.exists()

    def test_a_study_that_has_not_started_takes_no_drafts(self):
        with pytest.raises(ValidationError, match="has not started"):
            ask(endpoint("http://127.0.0.1:9/v1"), [make_case()], study=make_study(started=False))

    def test_a_case_without_an_image_is_refused(self):
        bare = make_case(image=False)
        with pytest.raises(ValidationError, match=bare.code):
            ask(endpoint("http://127.0.0.1:9/v1"), [bare])
