"""What Celery runs. Each task is one domain call."""

from celery import shared_task

from costs import bill_watching
from rag import alerting, clock, ingest_jobs, rollups, sessions, trace_closing


@shared_task  # type: ignore[untyped-decorator]
def run_ingest(job_id: int) -> None:
    ingest_jobs.run(job_id=job_id)


@shared_task  # type: ignore[untyped-decorator]
def resume_ingests() -> None:
    """Every half minute: jobs whose message or worker was lost."""
    for job_id in ingest_jobs.waiting(clock.now()):
        ingest_jobs.run(job_id=job_id)


@shared_task  # type: ignore[untyped-decorator]
def forget_sessions() -> None:
    """Every day: conversations that nobody continued for SESSION_KEEP_DAYS."""
    sessions.forget(clock.now())


@shared_task  # type: ignore[untyped-decorator]
def close_trace_files() -> None:
    """Every hour: days that are over are closed, older ones compressed, the oldest deleted."""
    trace_closing.close_trace_files(clock.now())


@shared_task  # type: ignore[untyped-decorator]
def watch_bills() -> None:
    """Every day: whether the ledger is what the providers billed."""
    bill_watching.watch_bills(clock.now())


@shared_task  # type: ignore[untyped-decorator]
def watch() -> None:
    """Every ALERT_EVERY_S: what was crossed, what broke, and what is to be delivered."""
    alerting.watch()


@shared_task  # type: ignore[untyped-decorator]
def keep_rollups() -> None:
    """Every ROLLUP_EVERY_S: what the cost page reads instead of every row."""
    rollups.keep(clock.now())
