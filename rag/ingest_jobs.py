"""Ingests asked for in the admin. The row is the queue: whoever claims it by a conditional update does the work."""

import logging
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Q

from rag import clock, tasks_queue
from rag.building import VerificationFailed
from rag.errors import RagError
from rag.ingest import IngestReport, ingest
from rag.models import CorpusVersion, IngestJob

log = logging.getLogger(__name__)

SILENT_FOR = timedelta(minutes=3)
EVERY = timedelta(seconds=2)


def upload_folder(job_id: int) -> Path:
    return Path(settings.UPLOAD_DIR) / str(job_id)


def enqueue(*, job_id: int) -> None:
    """Hand a job to a worker. If the broker is away the row stays queued and is picked up later."""
    tasks_queue.send("rag.tasks.run_ingest", job_id)


def waiting(now: datetime) -> list[int]:
    """Jobs that nobody works on: queued for a while, or running without a sign of life."""
    forgotten = Q(state=IngestJob.State.QUEUED, created_at__lt=now - timedelta(seconds=20))
    dead = Q(state=IngestJob.State.RUNNING, heartbeat_at__lt=now - SILENT_FOR)
    return list(IngestJob.objects.filter(forgotten | dead).order_by("created_at").values_list("pk", flat=True))


def claim(*, job_id: int, now: datetime) -> bool:
    """Whether this caller has the job now. Of two that try at once, one has."""
    free = Q(state=IngestJob.State.QUEUED) | Q(state=IngestJob.State.RUNNING, heartbeat_at__lt=now - SILENT_FOR)
    claimed = IngestJob.objects.filter(free, pk=job_id).update(state=IngestJob.State.RUNNING, heartbeat_at=now)
    return claimed == 1


def run(*, job_id: int) -> None:
    """Do a job, if it is free. Whatever happens, its row says how it ended."""
    if not claim(job_id=job_id, now=clock.now()):
        return
    job = IngestJob.objects.get(pk=job_id)
    try:
        report = ingest(
            path=Path(job.path) if job.path else upload_folder(job_id),
            corpus=job.corpus_slug,
            chunkers=job.chunkers.split(",") if job.chunkers else None,
            add=job.add,
            who_id=job.asked_by_id,
            progress=Reporter(job_id).report,
        )
    except (RagError, VerificationFailed) as error:
        log.warning("ingest failed: %s", error, extra={"job": job_id})
        ended(job, state=IngestJob.State.FAILED, error=str(error))
    except Exception as error:  # the outermost edge of the worker: the row must not stay `running` for ever
        log.exception("ingest crashed", extra={"job": job_id})
        ended(job, state=IngestJob.State.FAILED, error=f"unexpected: {type(error).__name__}: {error}")
        raise
    else:
        finished(job, report)


class Reporter:
    """Writes progress into the job's row, at most every EVERY."""

    def __init__(self, job_id: int) -> None:
        self._job_id = job_id
        self._last: datetime | None = None

    def report(self, stage: str, done: int, total: int) -> None:
        now = clock.now()
        if self._last is None or now - self._last > EVERY or done == total:
            self._last = now
            text = f"{stage}: {done} of {total}" if total else f"{stage}: {done}"
            IngestJob.objects.filter(pk=self._job_id).update(progress=text, heartbeat_at=now)


def finished(job: IngestJob, report: IngestReport) -> None:
    job.bad_files = [{"source": file.source, "reason": file.reason} for file in report.bad_files]
    number = int(report.version.removeprefix("v"))
    job.version = CorpusVersion.objects.filter(corpus__slug=report.corpus, number=number).first()
    chunks = ", ".join(f"{count} {chunker}" for chunker, count in report.chunks.items())
    outcome = "nothing had changed" if report.unchanged else f"{report.embedded} embedded, {report.reused} reused"
    job.progress = f"{report.documents} documents, {chunks} chunks; {outcome}"
    job.save(update_fields=["bad_files", "version", "progress"])
    ended(job, state=IngestJob.State.DONE, error="")


def ended(job: IngestJob, *, state: str, error: str) -> None:
    """Save how it ended; the progress of a job that failed shows how far it had come."""
    job.state = state
    job.error = error
    job.finished_at = clock.now()
    job.save(update_fields=["state", "error", "finished_at"])
