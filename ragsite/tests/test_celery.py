"""Each kind of Celery process imports what it needs and no more: that is most of its memory."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

STARTED = """
import json, sys
from celery.signals import celeryd_init
from ragsite.celery import app
app.loader.init_worker()
if sys.argv[1] == "worker":
    celeryd_init.send(sender="worker")
app.finalize()
print(json.dumps([sorted(app.tasks), sorted(sys.modules)]))
"""


def started(kind: str) -> tuple[set[str], set[str]]:
    """The tasks that such a process knows, and what it has imported."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "ragsite.settings"}
    command = [sys.executable, "-c", STARTED, kind]
    done = subprocess.run(command, env=environment, cwd=settings.BASE_DIR, capture_output=True, check=True)
    tasks, modules = json.loads(done.stdout)
    return set(tasks), set(modules)


def test_a_worker_knows_every_task_on_the_schedule() -> None:
    tasks, _ = started("worker")

    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= tasks


@pytest.mark.parametrize("kind", ["worker", "beat"])
def test_no_celery_process_imports_pages_or_sdks(kind: str) -> None:
    _, modules = started(kind)

    assert not modules & {"ragsite.urls", "rag.admin", "rag.views"}
    assert not modules & {"anthropic", "cohere", "openai", "voyageai", "chromadb", "pyhanko"}


def test_beat_imports_no_task() -> None:
    _, modules = started("beat")

    assert not modules & {"rag.tasks", "evals.tasks", "numpy"}
