"""Correcting what was booked with a wrong price: adjustments beside the entries, which stay as they are."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from costs.ledger import adjustment_of, load_price_table, standing_of
from costs.models import LedgerEntry
from costs.prices import Price, PriceTable, cost

AT_ONCE = 500
REASON = "another price"


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
        """Without tokens."""
        return adjustment_of(self.entry, number=self.number, usd=self.difference, price_id=self.price.id, reason=REASON)


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
    """Only another price row is a reason: what was booked with the row that is in force still is as it was computed then.

    The entries are held until the transaction ends: whoever adjusts them at the same time waits, and then sees these.
    """
    held = LedgerEntry.objects.filter(pk__in=ids).select_for_update(of=("self",)).order_by("pk")
    for entry in held.prefetch_related("adjustments"):
        stands = standing_of(entry, entry.adjustments.all())
        price = table.find(provider=entry.provider, model=entry.model, at=entry.at)
        if price is None or price.id == stands.price_id:
            continue
        after = cost(usage=stands.usage, price=price)
        if after != stands.usd:
            yield Correction(entry, stands.adjustments + 1, stands.usd, after, price)


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
