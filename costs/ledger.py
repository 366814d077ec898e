"""Booking: one provider attempt becomes one append-only entry."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from costs.models import LedgerEntry, ModelPrice
from costs.prices import PriceTable
from costs.usage import Usage


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call to a paid provider, whatever came of it. `cost_usd` None = no price known."""

    at: datetime
    provider: str
    model: str
    operation: str
    provider_mode: str
    outcome: str
    usage: Usage
    cost_usd: Decimal | None
    price_id: int | None
    latency_ms: float
    request_id: str = ""
    estimated: bool = False
    prompt: str = ""
    """which prompt was sent (`hyde v3`); empty where none is"""


@dataclass(frozen=True, slots=True)
class Booking:
    """On whose behalf attempts were made: the dimensions that a cost report can be split by."""

    trace_id: str
    kind: str
    module: str = ""
    corpus: str = ""
    prompt_version: str = ""
    api_key_id: int | None = None


def book(*, attempts: Sequence[Attempt], booking: Booking, first: int = 0) -> None:
    """Write the attempts, numbered from `first`. Booking the same attempt twice keeps the first entry.

    What is there is looked up, because on SQLite the guards refuse even an insert that would be ignored.
    """
    with transaction.atomic():
        there = set(LedgerEntry.objects.calls().filter(trace_id=booking.trace_id).values_list("attempt", flat=True))
        entries = [entry_of(attempt=attempt, booking=booking, number=n) for n, attempt in enumerate(attempts, first)]
        LedgerEntry.objects.bulk_create(
            [entry for entry in entries if entry.attempt not in there], ignore_conflicts=True
        )


def new_entries(*, attempts: Sequence[Attempt], booking: Booking) -> list[LedgerEntry]:
    """Attempts of which none is there yet, not saved yet: for a caller who writes them together with rows of its own."""
    return [entry_of(attempt=attempt, booking=booking, number=n) for n, attempt in enumerate(attempts)]


def entry_of(*, attempt: Attempt, booking: Booking, number: int) -> LedgerEntry:
    return LedgerEntry(
        at=attempt.at,
        trace_id=booking.trace_id,
        attempt=number,
        kind=booking.kind,
        provider=attempt.provider,
        model=attempt.model,
        operation=attempt.operation,
        provider_mode=attempt.provider_mode,
        outcome=attempt.outcome,
        cost_usd=attempt.cost_usd,
        estimated=attempt.estimated,
        price_id=attempt.price_id,
        latency_ms=attempt.latency_ms,
        request_id=attempt.request_id,
        module=booking.module,
        corpus=booking.corpus,
        prompt_version=booking.prompt_version,
        prompt=attempt.prompt,
        api_key_id=booking.api_key_id,
        **attempt.usage.as_dict(),
    )


NO_TOKENS = Usage()
COPIED = ("at", "trace_id", "attempt", "provider", "model", "operation", "provider_mode", "outcome", "estimated")
DIMENSIONS = ("module", "corpus", "prompt_version", "prompt", "api_key_id")


def adjustment_of(
    entry: LedgerEntry, *, number: int, usd: Decimal, price_id: int | None, reason: str, usage: Usage = NO_TOKENS
) -> LedgerEntry:
    """The difference to what an entry counts so far, at its time and under all its dimensions, so that every split of a sum is
    corrected. `number`: from 1, the adjustments of the entry in order. Not saved yet.
    """
    copied = {name: getattr(entry, name) for name in (*COPIED, *DIMENSIONS)}
    return LedgerEntry(
        kind=LedgerEntry.ADJUSTMENT,
        adjusts=entry,
        correction=number,
        cost_usd=usd,
        price_id=price_id,
        reason=reason,
        latency_ms=0.0,
        **copied,
        **usage.as_dict(),
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """What an entry counts with its adjustments. `usd` None: neither knows a cost. `adjustments`: how many there are."""

    usage: Usage
    usd: Decimal | None
    price_id: int | None
    adjustments: int


def standing_of(entry: LedgerEntry, adjustments: Iterable[LedgerEntry]) -> Standing:
    """`adjustments` are all of the entry, in any order."""
    ordered = sorted(adjustments, key=lambda each: each.correction)
    usage = sum((each.usage() for each in ordered), entry.usage())
    known = [each.cost_usd for each in (entry, *ordered) if each.cost_usd is not None]
    usd = sum(known, Decimal(0)) if known else None
    return Standing(usage, usd, (ordered[-1] if ordered else entry).price_id, len(ordered))


def load_price_table() -> PriceTable:
    """All rows of the price table. Small (tens of rows); callers keep it for as long as they like it to be current."""
    return PriceTable(row.as_price() for row in ModelPrice.objects.all())
