"""From money spent to a signed webhook, with the real beat, two real workers and a real receiver."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from costs.models import AlertDelivery, BudgetWindow
from costs.tests.factories import make_budget, make_channel, spend
from costs.tests.receiving import Receiver, receiving
from rag import trace_checking
from rag.tests.serving import database_url
from ragsite.tests.test_up import eventually

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
EVERY_S = 0.5
CELERY = "-m celery -A ragsite.celery worker --beat --pool threads --concurrency 2 --loglevel INFO"


@contextmanager
def worker(folder: Path, name: str) -> Iterator[None]:
    """A worker with a beat of its own."""
    schedule = str(folder / f"{name}-schedule")
    command = [sys.executable, *shlex.split(CELERY), "--schedule", schedule, "--hostname", name]
    env = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "TRACE_DIR": str(settings.TRACE_DIR),
        "ALERT_EVERY_S": str(EVERY_S),
        "ALERT_ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    log = folder / f"{name}.log"
    with (
        log.open("ab") as out,
        subprocess.Popen(
            command, stdout=out, stderr=out, cwd=settings.BASE_DIR, env=env, start_new_session=True
        ) as process,
    ):
        try:
            eventually(lambda: " ready." in log.read_text(), f"the worker: {log}")
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def two_workers(tmp_path: Path) -> Iterator[None]:
    with ExitStack() as both:
        for name in ("one", "two"):
            both.enter_context(worker(tmp_path, name))
        yield


def thresholds(receiver: Receiver) -> list[int]:
    return sorted(got.json()["detail"]["threshold_percent"] for got in receiver.accepted())


def some_more_looks() -> None:
    """Wait until beat has looked at the budget several times more."""
    for _ in range(4):
        before = BudgetWindow.objects.get().synced_at
        eventually(partial(looked_since, before), "another look")


def looked_since(moment: datetime) -> bool:
    return BudgetWindow.objects.get().synced_at > moment


def test_a_crossing_reaches_the_receiver_once_and_signed(receiver: Receiver, two_workers: None) -> None:
    make_budget()
    channel = make_channel(receiver.url)
    receiver.script = [500]

    spend("2.60", at=timezone.now())
    eventually(lambda: thresholds(receiver) == [50], "the first alert")
    spend("2.60", at=timezone.now())
    eventually(lambda: thresholds(receiver) == [50, 80, 100], "the others")
    some_more_looks()

    assert thresholds(receiver) == [50, 80, 100]
    assert all(got.signed_by(channel.secret) for got in receiver.got)
    assert [got.answered for got in receiver.got] == [500, 200, 200, 200]
    assert receiver.got[0].delivery == receiver.got[1].delivery
    assert len({got.delivery for got in receiver.accepted()}) == 3
    assert set(AlertDelivery.objects.values_list("state", flat=True)) == {"sent"}
    assert warned() == [50, 80, 100]
    assert not trace_checking.verify(repair=False).open_problems


def warned() -> list[int]:
    """The thresholds in the WARN lines of the trace files."""
    lines = [
        json.loads(line) for path in Path(settings.TRACE_DIR).glob("*.jsonl") for line in path.read_text().splitlines()
    ]
    assert {(line["kind"], line["level"]) for line in lines} == {("alert", "WARN")}
    return sorted(line["detail"]["threshold_percent"] for line in lines)
