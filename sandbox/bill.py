"""The sandbox's own bill: what the providers would have charged for what was really served."""

from collections import deque
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from sandbox.bill_entry import Entry
from sandbox.bill_file import BillFile

CAPACITY = 100_000
PLACES = 8


class Bill:
    """Totals are kept until a restart, entries up to `capacity`; with a `file` those survive a restart, and their totals."""

    def __init__(self, *, capacity: int = CAPACITY, file: BillFile | None = None) -> None:
        self._capacity, self._file = capacity, file
        self._forget()
        if file is not None:
            self._load(file)

    def reset(self) -> None:
        self._forget()
        if self._file is not None:
            self._file.replace((), dropped_until=None)

    def add(self, entry: Entry) -> None:
        self._take(entry)
        if self._file is not None:
            self._file.append(entry)

    def between(self, start: datetime, end: datetime, *, provider: str) -> list[Entry]:
        """The entries of a provider, `end` excluded, oldest first. Raises LookupError where some are not kept any more."""
        if self._dropped_until is not None and start <= self._dropped_until:
            raise LookupError(f"of the time up to {self._dropped_until.isoformat()} not all entries are kept")
        return [entry for entry in self._entries if entry.provider == provider and start <= entry.at < end]

    def kept(self, provider: str) -> list[Entry]:
        """All entries of a provider that are kept, oldest first."""
        return [entry for entry in self._entries if entry.provider == provider]

    def _forget(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=self._capacity)
        self._dropped_until: datetime | None = None
        self._count = 0
        self._total = Decimal(0)
        self._by_model: dict[str, Decimal] = {}
        self._by_provider: dict[str, Decimal] = {}

    def _load(self, file: BillFile) -> None:
        """What there is too much of is dropped from the file as well."""
        entries, dropped_until = file.load()
        kept = entries[-self._capacity :]
        if len(kept) < len(entries):
            dropped_until = entries[-self._capacity - 1].at
            file.replace(kept, dropped_until=dropped_until)
        for entry in kept:
            self._take(entry)
        self._dropped_until = dropped_until

    def _take(self, entry: Entry) -> None:
        if len(self._entries) == self._capacity:
            self._dropped_until = self._entries[0].at
        self._entries.append(entry)
        self._count += 1
        self._total += entry.cost_usd
        self._by_model[entry.model] = self._by_model.get(entry.model, Decimal(0)) + entry.cost_usd
        self._by_provider[entry.provider] = self._by_provider.get(entry.provider, Decimal(0)) + entry.cost_usd

    def report(self, *, since: int = 0) -> dict[str, Any]:
        """JSON-ready. Entries are numbered from 0 since the last reset; those numbered `since` and up are listed."""
        first = self._count - len(self._entries)
        return {
            "total_usd": money(self._total),
            "count": self._count,
            "first": max(first, min(since, self._count)),
            "entries": [_row(entry) for entry in islice(self._entries, max(0, since - first), None)],
            "by_model": {name: money(cost) for name, cost in sorted(self._by_model.items())},
            "by_provider": {name: money(cost) for name, cost in sorted(self._by_provider.items())},
        }


def money(amount: Decimal) -> str:
    """Exact, never in scientific notation, with at least eight decimals."""
    whole, _, decimals = f"{amount:f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<{PLACES}}"


def _row(entry: Entry) -> dict[str, object]:
    return asdict(entry) | {"at": entry.at.isoformat(), "cost_usd": money(entry.cost_usd)}
