"""What Celery runs. Each task is one domain call."""

from celery import shared_task

from rag import clock, ingest_jobs, sessions


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
