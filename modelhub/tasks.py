"""Celery's doors: three lines each. A message carries a run's primary key and nothing else."""

from celery import shared_task


@shared_task(name="modelhub.tasks.run_on_default")
def run_on_default(run_id: int) -> None:
    from modelhub.jobs.base import run_job

    run_job(run_id)


@shared_task(name="modelhub.tasks.run_on_gpu")
def run_on_gpu(run_id: int) -> None:
    from modelhub.jobs.base import run_job

    run_job(run_id)


@shared_task(name="modelhub.tasks.reap_runs")
def reap_runs() -> None:
    from modelhub.services.runs import reap

    reap()


@shared_task(name="modelhub.tasks.refresh_priorities")
def refresh_priorities() -> None:
    from scoring.services.priorities import refresh_running_studies

    refresh_running_studies()


@shared_task(name="modelhub.tasks.refresh_statistics")
def refresh_statistics() -> None:
    from modelhub.services.leaderboards import request_leaderboards
    from modelhub.services.statistics import refresh_dashboard

    refresh_dashboard()
    request_leaderboards()


@shared_task(name="modelhub.tasks.refresh_agreements")
def refresh_agreements() -> None:
    from scoring.services.agreement import refresh_agreements

    refresh_agreements()
