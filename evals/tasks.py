"""What Celery runs. Each task is one domain call."""

from celery import shared_task

from evals import worker_runs


@shared_task  # type: ignore[untyped-decorator]
def ask_waiting_runs() -> None:
    """When something was asked for, and every half minute: runs whose message or worker was lost."""
    worker_runs.ask_waiting_runs()
