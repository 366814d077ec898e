"""However many beats there are, each thing on the schedule is sent once."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from celery.beat import ScheduleEntry
from celery.schedules import crontab
from django.conf import settings

from ragsite.celery import app
from ragsite.schedule import SharedScheduler, claim, interval_s

NOW = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
EVERY_S = 60.0


def test_the_first_to_claim_a_slot_has_it() -> None:
    claims = [claim(name="watch", every_s=EVERY_S, now=NOW + timedelta(seconds=late)) for late in (0, 0.5, 20)]

    assert claims == [True, False, False]


def test_the_next_slot_is_free_again() -> None:
    assert [claim(name="watch", every_s=EVERY_S, now=NOW + timedelta(minutes=n)) for n in range(3)] == [True] * 3


def test_entries_do_not_claim_for_each_other() -> None:
    assert claim(name="watch", every_s=EVERY_S, now=NOW)
    assert claim(name="close", every_s=EVERY_S, now=NOW)


def test_a_crontab_is_claimed_by_the_minute() -> None:
    nightly = ScheduleEntry(name="nightly", task="nothing", schedule=crontab(minute="0", hour="3"), app=app)

    assert interval_s(nightly) == 60.0


def test_the_site_has_this_scheduler_and_every_entry_an_interval() -> None:
    scheduler = app.conf.beat_scheduler

    entries = [ScheduleEntry(name=name, app=app, **told) for name, told in app.conf.beat_schedule.items()]

    assert scheduler == f"{SharedScheduler.__module__}:{SharedScheduler.__name__}"
    assert all(interval_s(entry) > 0 for entry in entries)


EVERY_TWO_SECONDS = """
import logging, os
from celery.beat import Service
from ragsite.celery import app
logging.basicConfig(level=logging.INFO)
app.conf.task_default_queue = os.environ["QUEUE"]
app.conf.beat_schedule = {"tick": {"task": "nothing", "schedule": 2.0}}
Service(app, scheduler_cls=app.conf.beat_scheduler, schedule_filename=os.environ["SCHEDULE_FILE"]).start()
"""
DUE = "Sending due task tick"


@contextmanager
def beat(folder: Path, number: int, queue: str) -> Iterator[Path]:
    """A beat with a schedule file of its own, as on another host; gives its log."""
    log = folder / f"beat-{number}.log"
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "ragsite.settings",
        "QUEUE": queue,
        "SCHEDULE_FILE": str(folder / f"schedule-{number}"),
    }
    command = [sys.executable, "-c", EVERY_TWO_SECONDS]
    with (
        log.open("ab") as out,
        subprocess.Popen(command, env=environment, cwd=settings.BASE_DIR, stdout=out, stderr=out) as process,
    ):
        try:
            yield log
        finally:
            process.kill()


@pytest.mark.skipif(not settings.REDIS_URL, reason="two beats have nothing in common without REDIS_URL")
def test_two_beats_send_each_thing_once(tmp_path: Path) -> None:
    queue = f"two-beats-{uuid4().hex}"
    server = redis.Redis.from_url(settings.REDIS_URL)
    started = time.time()
    try:
        with beat(tmp_path, 1, queue) as one, beat(tmp_path, 2, queue) as two:
            deadline = time.monotonic() + 60
            while min(log.read_text().count(DUE) for log in (one, two)) < 4:
                assert time.monotonic() < deadline, one.read_text() + two.read_text()
                time.sleep(0.1)
        slots = int(time.time() // 2) - int(started // 2) + 1

        assert 3 <= server.llen(queue) <= slots
        assert one.read_text().count(DUE) + two.read_text().count(DUE) >= 8
    finally:
        server.delete(queue)
