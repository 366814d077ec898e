import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.contrib.auth.models import User
from django.db import connection
from pytest_django.fixtures import Settings

from rag import clock, ingest_jobs, tasks
from rag.ingest import IngestReport
from rag.models import Corpus, IngestJob
from rag.tests import samples
from rag.tests.small_world import asked, break_provider

ENQUEUE = """
import shutil, django
django.setup()
from django.conf import settings
from rag import tasks_queue
if settings.CELERY_BROKER_URL == "filesystem://":
    shutil.rmtree(settings.BROKER_DIR / "queue")
print(tasks_queue.send("rag.tasks.run_ingest", 1))
"""


def queued(path: Path | str = "", **fields: Any) -> IngestJob:
    return IngestJob.objects.create(corpus_slug="handbook", path=str(path), **fields)


def after(job: IngestJob) -> IngestJob:
    """The job as its row stands once it was run."""
    ingest_jobs.run(job_id=job.pk)
    job.refresh_from_db()
    return job


def test_a_job_ingests_and_tells_what_it_did(documents: Path, providers: str, alice: User) -> None:
    samples.written(documents, "photo.png", b"\x89PNG")

    job = after(queued(documents, asked_by=alice))

    assert (job.state, job.error) == ("done", "")
    assert job.version == Corpus.objects.get().active_version
    assert job.progress.startswith("4 documents")
    assert [file["source"] for file in job.bad_files] == ["photo.png"]
    assert Corpus.objects.get().activations.get().who == alice


def test_a_job_without_a_path_takes_its_upload(providers: str, db: None) -> None:
    job = queued()
    samples.written(ingest_jobs.upload_folder(job.pk), "leave.md", "Five days may be carried over.")

    assert after(job).state == "done"


def test_a_job_may_add_and_choose_chunkers(corpus: IngestReport, tmp_path: Path) -> None:
    samples.written(tmp_path / "more", "parking.md", "The garage closes at 22:00.")

    job = after(queued(tmp_path / "more", add=True, chunkers="structural"))

    assert job.version is not None
    assert job.version.documents.count() == 5
    assert [chunk_set.chunker for chunk_set in job.version.chunk_sets.all()] == ["structural"]


def test_a_job_that_cannot_be_done_says_why(tmp_path: Path, db: None) -> None:
    job = after(queued(tmp_path / "missing"))

    assert job.state == "failed"
    assert "missing" in job.error
    assert job.finished_at is not None


def test_a_job_that_crashes_says_so_and_is_told_to_the_worker(
    documents: Path, providers: str, db: None, settings: Settings
) -> None:
    settings.BM25_DIR = None
    job = queued(documents)

    with pytest.raises(TypeError):
        ingest_jobs.run(job_id=job.pk)

    job.refresh_from_db()
    assert (job.state, job.error[:21]) == ("failed", "unexpected: TypeError")


def test_a_failed_job_still_shows_how_far_it_came(documents: Path, providers: str, db: None) -> None:
    break_provider(providers, "openai.embeddings", kind="status", status=401)

    job = after(queued(documents))

    assert job.state == "failed"
    assert job.progress


@pytest.mark.parametrize("state", ["done", "failed"])
def test_a_finished_job_is_not_done_again(state: str, tmp_path: Path, db: None) -> None:
    assert after(queued(tmp_path / "missing", state=state)).state == state


def test_a_job_that_another_worker_does_is_left_alone(tmp_path: Path, db: None) -> None:
    job = queued(tmp_path / "missing", state="running", heartbeat_at=clock.now())

    assert after(job).state == "running"


def test_a_job_whose_worker_died_is_taken_up_again(documents: Path, providers: str, db: None) -> None:
    job = queued(documents, state="running", heartbeat_at=clock.now() - timedelta(hours=1))

    tasks.resume_ingests()

    job.refresh_from_db()
    assert job.state == "done"
    assert asked().outcome.answer.answered


def test_a_job_whose_message_was_lost_is_found_after_a_while(db: None) -> None:
    fresh, lost = queued(), queued()
    IngestJob.objects.filter(pk=lost.pk).update(created_at=clock.now() - timedelta(minutes=1))

    assert ingest_jobs.waiting(clock.now()) == [lost.pk]
    assert fresh.state == "queued"


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_of_two_workers_that_claim_at_once_one_has_the_job() -> None:
    job = queued()
    claims: list[bool] = []
    together = threading.Barrier(2)

    def claim() -> None:
        together.wait()
        claims.append(ingest_jobs.claim(job_id=job.pk, now=clock.now()))
        connection.close()

    threads = [threading.Thread(target=claim) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(claims) == [False, True]


@pytest.mark.parametrize("redis_url", ["redis://127.0.0.1:9/0", ""], ids=["redis", "files"])
def test_a_broker_that_is_away_is_no_error_and_takes_no_time(redis_url: str, tmp_path: Path) -> None:
    env = {
        **os.environ,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "ragsite.settings",
    }
    started = time.monotonic()

    done = subprocess.run(
        [sys.executable, "-c", ENQUEUE], env=env, cwd=configured.BASE_DIR, capture_output=True, text=True, check=False
    )

    assert done.stdout == "False\n", done.stderr[-2000:]
    assert "broker away" in done.stderr
    assert time.monotonic() - started < 15
