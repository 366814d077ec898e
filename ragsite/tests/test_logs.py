"""JSON records, alone and as gunicorn, Celery and a question write them in processes of their own."""

import io
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import LazySettings, settings

from rag.ingest import IngestReport
from rag.tests.serving import web_process
from rag.tests.small_world import HELD
from ragsite.logs import JsonFormatter, TraceIds, under

STARTED_S = 30


class Written(io.StringIO):
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def record(self) -> dict[str, Any]:
        (record,) = self.records()
        return record


@pytest.fixture
def written() -> Iterator[Written]:
    stream = Written()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(TraceIds())
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


log = logging.getLogger("somebody.elses")


def test_a_record_is_one_object_on_one_line(written: Written) -> None:
    log.warning("first\nsecond \u2028 third: %s", "café", extra={"status": 503, "code": None})

    assert len(written.getvalue().splitlines()) == 1
    assert written.getvalue().isascii()
    told = written.record()
    at = datetime.fromisoformat(told.pop("time"))
    assert at.utcoffset() is not None
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
    assert told == {
        "level": "WARNING",
        "logger": "somebody.elses",
        "message": "first\nsecond \u2028 third: café",
        "process": os.getpid(),
        "status": 503,
        "code": None,
    }


def test_a_trace_back_stands_inside_it(written: Written) -> None:
    try:
        raise ValueError("torn\n{}")
    except ValueError:
        log.exception("failed")

    told = written.record()
    assert told["exception"].startswith("Traceback (most recent call last):\n")
    assert told["exception"].endswith("ValueError: torn\n{}")


@pytest.mark.parametrize("secret", ["canary-7f3a9c", 'can"ary\\7f3a9c', "123456", "kanarienvögel"])
def test_no_secret_is_written_wherever_it_stands(secret: str, written: Written, settings: LazySettings) -> None:
    settings.SECRET_KEY = secret
    try:
        raise ValueError(secret)
    except ValueError as error:
        log.exception(
            "refused: %s", secret, extra={"given": secret, "known": {"key": secret}, "why": error, "n": 123456}
        )

    told = written.record()
    assert told.pop("n") == 123456
    assert secret not in " ".join(str(value) for value in told.values())
    assert told["message"] == "refused: ********"


def test_what_is_logged_under_a_trace_has_its_id_whoever_logs_it(written: Written) -> None:
    with under("outer"):
        with under("inner"):
            log.warning("a")
        log.warning("b")
        log.warning("c", extra={"trace_id": "its own"})
        with ThreadPoolExecutor(1) as pool:
            pool.submit(copy_context().run, log.warning, "d").result()
    log.warning("e")

    ids = [told.get("trace_id") for told in written.records()]
    assert ids == ["inner", "outer", "its own", "outer", None]


def of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("stream", [False, True])
def test_every_line_of_a_web_process_is_one_and_those_of_a_question_have_its_trace_id(
    stream: bool, corpus: IngestReport, bobs_key: str, tmp_path: Path
) -> None:
    more = {"LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG"}
    with web_process(tmp_path / "web.log", more=more) as (url, process):
        body = {"question": HELD, "corpus": "handbook", "module": "m3-hybrid", "stream": stream}
        reply = httpx.post(f"{url}/api/ask", json=body, headers={"Authorization": f"Bearer {bobs_key}"}, timeout=60)
        assert reply.status_code == 200
        process.terminate()
        process.wait(30)

    records = of(tmp_path / "web.log")
    arbiter = {told["message"] for told in records if told["logger"] == "gunicorn.error"}
    assert {"Shutting down: Master", "Using worker: gthread"} <= arbiter
    sdk = [told for told in records if told["logger"].startswith("anthropic")]
    assert sdk
    (trace_id,) = {told["trace_id"] for told in sdk}
    assert trace_id in reply.text


def test_celery_logs_alike(tmp_path: Path) -> None:
    command = ["-m", "celery", "-q", "-A", "ragsite.celery", "worker", "--pool", "threads", "--loglevel", "INFO"]
    env = {**os.environ, "DATA_DIR": str(tmp_path), "REDIS_URL": "", "LOG_FORMAT": "json"}
    path = tmp_path / "worker.log"
    with path.open("ab") as out:
        worker = subprocess.Popen([sys.executable, *command], stderr=out, cwd=settings.BASE_DIR, env=env)
        try:
            deadline = time.monotonic() + STARTED_S
            while "ready" not in path.read_text() and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            worker.terminate()
            worker.wait(30)

    lines = [line for line in path.read_text().splitlines() if "celery" in line and "ready" in line]
    assert [json.loads(line)["logger"] for line in lines] == ["celery.apps.worker"]


def test_gunicorns_arbiter_writes_json_and_reads_no_settings() -> None:
    """It would hand them on to its workers, and a reload would change nothing."""
    arbiter = (
        "import logging.config, runpy, sys\n"
        "logging.config.dictConfig(runpy.run_path('ragsite/gunicorn_conf.py')['logconfig_dict'])\n"
        "logging.getLogger('gunicorn.error').error('Booting')\n"
        "assert 'ragsite.settings' not in sys.modules"
    )
    env = {**os.environ, "LOG_FORMAT": "json"}

    done = subprocess.run(
        [sys.executable, "-c", arbiter], env=env, cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
    )

    assert json.loads(done.stderr)["message"] == "Booting"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, "line"),
        ({"DEBUG": "false"}, "json"),
        ({"DEBUG": "False", "LOG_FORMAT": "line"}, "line"),
        ({"DEBUG": "on", "LOG_FORMAT": ""}, "line"),
        ({"DEBUG": "1", "LOG_FORMAT": "json"}, "json"),
    ],
)
def test_gunicorn_and_the_settings_choose_alike(given: dict[str, str], wanted: str) -> None:
    chosen = (
        "import runpy; from ragsite import settings\n"
        "print(settings.LOG_FORMAT, runpy.run_path('ragsite/gunicorn_conf.py')['log_format']())"
    )
    kept = {name: value for name, value in os.environ.items() if name not in ("DEBUG", "LOG_FORMAT")}

    done = subprocess.run(
        [sys.executable, "-c", chosen],
        env={**kept, "SECRET_KEY": "of this test", **given},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == [wanted, wanted]
