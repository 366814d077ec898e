"""The sandbox's own bill: what the providers would have charged for what was really served."""

from collections import deque
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

CAPACITY = 100_000
PLACES = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """One billed answer. `key` is the last four characters of the API key."""

    at: datetime
    provider: str
    model: str
    operation: str
    key: str
    request_id: str
    usage: dict[str, int]
    cost_usd: Decimal


class Bill:
    """Totals are kept for ever, entries up to `capacity`."""

    def __init__(self, *, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self.reset()

    def reset(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=self._capacity)
        self._count = 0
        self._total = Decimal(0)
        self._by_model: dict[str, Decimal] = {}
        self._by_provider: dict[str, Decimal] = {}

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._count += 1
        self._total += entry.cost_usd
        self._by_model[entry.model] = self._by_model.get(entry.model, Decimal(0)) + entry.cost_usd
        self._by_provider[entry.provider] = self._by_provider.get(entry.provider, Decimal(0)) + entry.cost_usd

    def between(self, start: datetime, end: datetime, *, provider: str) -> list[Entry]:
        """The entries of a provider that are kept, `end` excluded."""
        return [entry for entry in self._entries if entry.provider == provider and start <= entry.at < end]

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
