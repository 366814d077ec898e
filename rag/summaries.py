"""From a trace line to its rows. The line is the authority: repair goes the same way as the first writing."""

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from decimal import Decimal
from time import sleep
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Model

from costs.ledger import Attempt, Booking, book, new_entries
from costs.usage import Usage
from rag.models import TraceSummary
from ragsite.inserting import insert

EIGHT_PLACES = Decimal("0.00000001")
PATIENCE = 10
"""times ROWS_DELAY_MS: so long a row may be under way"""


def save_rows(line: dict[str, Any]) -> None:
    """Write the summary row and the ledger entries of a line. Doing it twice changes nothing."""
    summary, booking = summary_of(line), booking_of(line)
    attempts = [attempt_of(entry) for entry in line["attempts"]]
    try:
        inserted([summary], new_entries(attempts=attempts, booking=booking))
    except IntegrityError:  # some of it is there
        with transaction.atomic():
            TraceSummary.objects.bulk_create([summary], ignore_conflicts=True)
            book(attempts=attempts, booking=booking)


def save_summaries(lines: Sequence[dict[str, Any]]) -> None:
    """Write the summary rows of lines that have no calls. Those that are there stay as they are."""
    rows = [summary_of(line) for line in lines]
    try:
        inserted(rows)
    except IntegrityError:  # some of them are there
        TraceSummary.objects.bulk_create(rows, ignore_conflicts=True)


def inserted(*groups: Sequence[Model]) -> None:
    """All or none, also within a transaction of the caller's, which outlives an IntegrityError."""
    with transaction.atomic() if connection.in_atomic_block else nullcontext():
        insert(*groups)


def save_calls(line: dict[str, Any]) -> None:
    """The ledger entries alone, of a request that has no line: it was refused, but its calls are on the bill."""
    book(attempts=[attempt_of(entry) for entry in line["attempts"]], booking=booking_of(line))


def wait_for_late_rows() -> None:
    """After this the rows of all lines that were written before it are there, unless they were lost (`rag.late_rows`)."""
    sleep(PATIENCE * settings.ROWS_DELAY_MS / 1000)


def summary_of(line: dict[str, Any]) -> TraceSummary:
    usage, latencies = line["prompt_cache"], line["latencies_ms"]
    return TraceSummary(
        trace_id=line["trace_id"],
        timestamp=datetime.fromisoformat(line["timestamp"]),
        kind=line["kind"],
        status=line["status"],
        error=(line["error"] or {}).get("code", ""),
        query=line["query"],
        module=line["module"] or "",
        transform=line["transform"] or "",
        corpus=line["corpus"] or "",
        corpus_version=line["corpus_version"] or "",
        prompt_version=line["prompt_version"] or "",
        model=line["model"] or "",
        provider_mode=line["provider_mode"] or "",
        session_id=line["session_id"] or "",
        api_key_id=line["api_key_id"],
        user_id=line["user_id"],
        answered=line["answered"],
        answer_cache=line["answer_cache"],
        degraded=line["degraded"],
        tokens_in=line["generation_tokens_in"],
        tokens_out=line["generation_tokens_out"],
        cache_read=usage["read"],
        cache_write_5m=usage["write_5m"],
        cache_write_1h=usage["write_1h"],
        cost_usd=decimal_of(line["cost_usd"]),
        avoided_usd=decimal_of(line["avoided_usd"]) or Decimal(0),
        prompt_saved_usd=decimal_of(line.get("prompt_saved_usd")) or Decimal(0),
        **{f"{stage}_ms": latencies[stage] for stage in ("embed", "vector", "bm25", "rerank", "generate", "total")},
    )


def booking_of(line: dict[str, Any]) -> Booking:
    return Booking(
        trace_id=line["trace_id"],
        kind=line["kind"],
        module=line["module"] or "",
        corpus=line["corpus"] or "",
        prompt_version=line["prompt_version"] or "",
        api_key_id=line["api_key_id"],
    )


def attempt_of(entry: dict[str, Any]) -> Attempt:
    return Attempt(
        at=datetime.fromisoformat(entry["at"]),
        usage=Usage(**entry["usage"]),
        cost_usd=decimal_of(entry["cost_usd"]),
        **{name: value for name, value in entry.items() if name not in ("at", "usage", "cost_usd")},
    )


def decimal_of(amount: float | None) -> Decimal | None:
    """The amount to the eight places of the ledger; exact, because a trace's numbers were rounded to them."""
    return None if amount is None else Decimal(repr(amount)).quantize(EIGHT_PLACES)
