"""``kill -9`` of a worker that drafts: what was stored is not asked for again, and every draft ends once."""

import threading

import pytest

from modelhub.jobs import loaded_models
from modelhub.models import DraftStage
from modelhub.services.runs import reap
from scoring.models import Assignment, NarrativeVersion
from tests.chat_server import Asked, Reply, chat_server
from tests.factories import make_case, make_study
from tests.modelhub.drafters import ask, drafter, endpoint
from tests.modelhub.workers import Worker, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
CASES, CONCURRENCY = 6, 1


def test_killed_while_drafting(tmp_path):
    with chat_server() as server:
        usual, killed = drafter(), threading.Event()

        def answer(asked: Asked, before: int) -> Reply:
            if before >= CASES + 4:  # nobody gets further before the worker is killed
                killed.wait(timeout=200)
            return usual(asked, before)

        server.answer = answer
        model, study = endpoint(server.url), make_study(overlap=2)
        model.endpoint |= {"concurrency": CONCURRENCY}
        model.save()
        run = ask(model, [make_case() for _ in range(CASES)], study=study)
        rows = DraftStage.objects.filter(draft__drafting__run=run)
        worker = Worker(run.pk, tmp_path / "log")
        until(lambda: rows.count() >= CASES + 2)
        worker.kill()
        kept = set(rows.values_list("pk", "key"))
        assert CASES + 2 <= len(kept) <= CASES + 4
        killed.set()
        until(lambda: reap() > 0)
        Worker(run.pk, tmp_path / "log").wait()
        run.refresh_from_db()
        assert (run.state, run.attempt, run.progress_done) == ("succeeded", 2, CASES), run.error
        assert kept <= set(rows.values_list("pk", "key"))
        assert rows.count() == 3 * CASES == rows.values("key").distinct().count()
        # what was stored was not asked again: at most the calls that were under way were
        assert 3 * CASES <= len(server.asked) <= 3 * CASES + 2 * CONCURRENCY
        assert NarrativeVersion.objects.count() == CASES
        assert Assignment.objects.filter(study=study).count() == 2 * CASES
    loaded_models.release_models()
