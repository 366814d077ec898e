"""The row of an answer from the cache, written a moment later, together with those of others.

Such an answer has called no provider: nothing of it is in the ledger, so that neither a budget nor the next question waits for
its row. Its line is on the disk already, and a row that a crash has swallowed is repaired from it like any other.
"""

import atexit
import logging
import os
import threading
from collections.abc import Mapping
from functools import cache
from typing import Any

from django.conf import settings
from django.db import close_old_connections, connections

from rag import metrics, summaries

log = logging.getLogger(__name__)

AT_ONCE = 64
"""rows in one statement"""
LAST_S = 5.0
"""for what still waits when the process ends"""


def may_wait(line: Mapping[str, Any]) -> bool:
    """Whether nobody needs the row at once: a conversation reads its turns, and money is counted by calls."""
    if not settings.ROWS_DELAY_MS:
        return False
    return line["answer_cache"] == "hit" and not line["attempts"] and not line["session_id"]


def add(line: dict[str, Any]) -> None:
    """The row of the line is written in ROWS_DELAY_MS at the latest, or when the process ends."""
    writer(os.getpid()).add(line)


@cache
def writer(pid: int) -> "Writer":
    """One for each process: a thread does not live on in a fork."""
    made = Writer(settings.ROWS_DELAY_MS / 1000)
    atexit.register(made.close)
    return made


class Writer:
    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._lines: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._waiting = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="late-rows", daemon=True)
        self._thread.start()

    def add(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._lines.append(line)
        self._waiting.set()

    def close(self) -> None:
        """Write what is waiting, if that can be done in LAST_S, and end."""
        self._ending.set()
        self._waiting.set()
        self._thread.join(LAST_S)

    def _run(self) -> None:
        while not self._ending.is_set():
            self._waiting.wait()
            self._waiting.clear()
            self._ending.wait(self._delay_s)
            self._write()
        self._write()
        connections.close_all()

    def _write(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
        if not lines:
            return
        close_old_connections()
        for start in range(0, len(lines), AT_ONCE):
            written(lines[start : start + AT_ONCE])
        close_old_connections()


def written(lines: list[dict[str, Any]]) -> None:
    try:
        summaries.save_summaries(lines)
    except Exception:  # noqa: BLE001 - whatever it is, the next rows must be written
        ids = [line["trace_id"] for line in lines]
        log.exception("trace rows not written; `manage.py traces verify --repair` will: %s", ", ".join(ids))
        for _ in ids:
            metrics.trace_failure("rows")
