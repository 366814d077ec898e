"""Correcting what was booked with a wrong price: adjustments beside the entries, which stay as they are."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from costs.ledger import load_price_table
from costs.models import LedgerEntry
from costs.prices import Price, PriceTable, cost
from costs.usage import Usage

AT_ONCE = 500
COPIED = ("at", "trace_id", "attempt", "provider", "model", "operation", "provider_mode", "outcome", "estimated")
DIMENSIONS = ("module", "corpus", "prompt_version", "prompt", "api_key_id")


@dataclass(frozen=True, slots=True)
class Correction:
    """An entry that today's price table prices otherwise. USD; `before` None = unpriced; earlier adjustments are counted in."""

    entry: LedgerEntry
    number: int
    before: Decimal | None
    after: Decimal
    price: Price

    @property
    def difference(self) -> Decimal:
        return self.after - (self.before or Decimal(0))

    def adjustment(self) -> LedgerEntry:
        """At the time of the entry and under all its dimensions, so that every split of a sum is corrected; without tokens."""
        copied = {name: getattr(self.entry, name) for name in (*COPIED, *DIMENSIONS)}
        return LedgerEntry(
            kind=LedgerEntry.ADJUSTMENT,
            adjusts=self.entry,
            correction=self.number,
            cost_usd=self.difference,
            price_id=self.price.id,
            latency_ms=0.0,
            **copied,
            **Usage().as_dict(),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """What corrections amount to for one model. Simulated and live money are told apart."""

    provider_mode: str
    provider: str
    model: str
    entries: int
    unpriced: int
    before: Decimal
    after: Decimal


def recost(*, since: datetime, until: datetime, dry_run: bool) -> list[Change]:
    """Correct the calls of a stretch of time (`until` excluded). Doing it twice changes nothing the second time."""
    table = load_price_table()
    calls = LedgerEntry.objects.calls().filter(at__gte=since, at__lt=until)
    ids = list(calls.order_by("pk").values_list("pk", flat=True))
    found: list[Correction] = []
    for first in range(0, len(ids), AT_ONCE):
        with transaction.atomic():
            corrections = list(due(ids[first : first + AT_ONCE], table))
            if not dry_run:
                LedgerEntry.objects.bulk_create([each.adjustment() for each in corrections], ignore_conflicts=True)
        found += corrections
    return changes(found)


def due(ids: Sequence[int], table: PriceTable) -> Iterator[Correction]:
    """Only another price row is a reason: what was booked with the row that is in force still is as it was computed then."""
    for entry in LedgerEntry.objects.filter(pk__in=ids).prefetch_related("adjustments"):
        earlier = sorted(entry.adjustments.all(), key=lambda each: each.correction)
        price = table.find(provider=entry.provider, model=entry.model, at=entry.at)
        used = earlier[-1].price_id if earlier else entry.price_id
        if price is None or price.id == used:
            continue
        before = booked(entry, earlier)
        after = cost(usage=entry.usage(), price=price)
        if after != before:
            yield Correction(entry, len(earlier) + 1, before, after, price)


def booked(entry: LedgerEntry, adjustments: Iterable[LedgerEntry]) -> Decimal | None:
    """What an entry counts with its adjustments; None where neither knows a cost."""
    known = [each.cost_usd for each in (entry, *adjustments) if each.cost_usd is not None]
    return sum(known, Decimal(0)) if known else None


def changes(corrections: Iterable[Correction]) -> list[Change]:
    groups: dict[tuple[str, str, str], list[Correction]] = defaultdict(list)
    for each in corrections:
        groups[each.entry.provider_mode, each.entry.provider, each.entry.model].append(each)
    return [
        Change(
            *model,
            entries=len(group),
            unpriced=sum(each.before is None for each in group),
            before=sum((each.before or Decimal(0) for each in group), Decimal(0)),
            after=sum((each.after for each in group), Decimal(0)),
        )
        for model, group in sorted(groups.items())
    ]
