"""What end-to-end tests do with the small world: ask it, break its providers, read its receipts."""

import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings

from costs.models import LedgerEntry
from rag.ask import Answered, ask
from rag.models import TraceSummary
from rag.values import Caller, Question

HELD = "How many days of unused annual leave may be carried over?"
NOT_HELD = "Who won the football world cup of 1954?"


def asked(text: str = HELD, *, corpus: str = "handbook", module: str = "m3-hybrid", **more: Any) -> Answered:
    """The answer to a question that comes from the command line."""
    return ask(question=Question(text, corpus, module, **more), caller=Caller())


def break_provider(
    sandbox: str, endpoint: str, *, times: int | None = None, match: str | None = None, **fault: Any
) -> None:
    """Order a fault of the sandbox; `times` None = until the test ends."""
    order = {"endpoint": endpoint, "fault": fault, "times": times, "match": match}
    httpx.post(f"{sandbox}/_control", json=order).raise_for_status()


def bill(sandbox: str, *, since: int = 0) -> dict[str, Any]:
    """The sandbox's own bill; `since` is the count of entries already seen."""
    found = httpx.get(f"{sandbox}/_bill", params={"since": since}).raise_for_status()
    shown: dict[str, Any] = found.json()
    return shown


def billed(entries: Iterable[dict[str, Any]]) -> Decimal:
    return sum((Decimal(entry["cost_usd"]) for entry in entries), Decimal(0))


def trace_paths() -> list[Path]:
    return sorted(Path(settings.TRACE_DIR).glob("????-??-??.jsonl"))


def trace_lines() -> list[dict[str, Any]]:
    """Every line of every trace file, in order; a damaged one fails the test."""
    return [json.loads(line) for path in trace_paths() for line in path.read_bytes().splitlines()]


def line_of(trace_id: str) -> dict[str, Any]:
    """The one line of a trace."""
    (line,) = [line for line in trace_lines() if line["trace_id"] == trace_id]
    return line


def row_of(trace_id: str) -> TraceSummary:
    return TraceSummary.objects.get(trace_id=trace_id)


def entries_of(trace_id: str) -> list[LedgerEntry]:
    return list(LedgerEntry.objects.filter(trace_id=trace_id).order_by("attempt"))
