"""The site under its real web server, over the test database."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from django.conf import settings
from django.db import connection

from ragsite.processes import free_port


def database_url() -> str:
    """The test database, for another process."""
    known = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{known['NAME']}"
    return f"postgres://{known['USER']}:{known['PASSWORD']}@{known['HOST']}:{known['PORT']}/{known['NAME']}"


@contextmanager
def web_process(
    log: Path, *, threads: int = 16, more: Mapping[str, str] | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The site under gunicorn: its URL and its process, which leads a group of its own. `more`: variables that it gets."""
    url = f"http://127.0.0.1:{free_port(0)}"
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--config",
        "ragsite/gunicorn_conf.py",
        "--bind",
        url[7:],
        "ragsite.wsgi",
    ]
    env = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "TRACE_DIR": str(settings.TRACE_DIR),
        "WEB_THREADS": str(threads),
        **(more or {}),
    }
    with (
        log.open("ab") as out,
        subprocess.Popen(
            command, stdout=out, stderr=out, cwd=settings.BASE_DIR, env=env, start_new_session=True
        ) as process,
    ):
        try:
            wait_for(url, log)
            yield url, process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)


def wait_for(url: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/healthz", timeout=2).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the web process did not start: {log.read_text()[-2000:]}")
