"""Twenty questions at once through a real web process, and one that is killed in the middle of them."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from costs.models import LedgerEntry
from rag import trace_checking
from rag.ingest import IngestReport
from rag.models import TraceSummary
from rag.tests.serving import web_process
from rag.tests.small_world import HELD, trace_lines

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
CLEARLY_REFUSED = {429, 503}


def ask_over_http(url: str, key: str, number: int) -> httpx.Response | None:
    """None when the connection broke before a whole response was there."""
    body = {"question": f"{HELD} ({number})", "corpus": "handbook", "module": "m3-hybrid"}
    try:
        return httpx.post(f"{url}/api/ask", json=body, headers={"Authorization": f"Bearer {key}"}, timeout=60)
    except httpx.TransportError:
        return None


def has_all_receipts(trace_id: str) -> bool:
    """Exactly one line, one row, and one ledger entry for every attempt."""
    (line,) = [line for line in trace_lines() if line["trace_id"] == trace_id]
    entries = LedgerEntry.objects.filter(trace_id=trace_id).count()
    return TraceSummary.objects.filter(trace_id=trace_id).count() == 1 and entries == len(line["attempts"]) >= 3


def test_twenty_questions_at_once_are_answered_or_clearly_refused(
    corpus: IngestReport, bobs_key: str, tmp_path: Path
) -> None:
    with web_process(tmp_path / "web.log") as (url, _), ThreadPoolExecutor(20) as clients:
        responses = list(clients.map(lambda number: ask_over_http(url, bobs_key, number), range(20)))

    found = [response for response in responses if response is not None]
    answered = [response.json() for response in found if response.status_code == 200]
    assert len(found) == 20
    assert {response.status_code for response in found} <= {200, *CLEARLY_REFUSED}
    assert len(answered) >= 1
    assert all("five days" in body["answer"] and has_all_receipts(body["trace_id"]) for body in answered)
    assert {response.json()["trace_id"] for response in found} == {line["trace_id"] for line in trace_lines()}


def test_a_web_process_that_was_killed_loses_no_answer(corpus: IngestReport, bobs_key: str, tmp_path: Path) -> None:
    with web_process(tmp_path / "web.log") as (url, process), ThreadPoolExecutor(10) as clients:
        pending = [clients.submit(ask_over_http, url, bobs_key, number) for number in range(40)]
        while sum(future.done() for future in pending) < 10:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        responses = [future.result() for future in pending]
    found = trace_checking.verify(repair=True)

    answered = [response.json() for response in responses if response is not None and response.status_code == 200]
    assert 10 <= len(answered) < 40
    assert not found.open_problems
    assert all(has_all_receipts(body["trace_id"]) for body in answered)
