"""The ledger of a day held against the provider's own report: per model and kind of token."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from django.utils import timezone

from costs.alerts import raise_alert
from costs.models import Alert, LedgerEntry, ModelPrice
from costs.prices import Price, rated, tier_factor
from costs.provider_report import TOKEN_KINDS, ProviderDay, base_name
from costs.recosting import booked
from costs.usage import Usage

log = logging.getLogger(__name__)

PROVIDER = "anthropic"
ROUNDING = Decimal("0.00005")
"""USD: sums of amounts that were rounded one by one differ by so much"""
ZERO = Decimal(0)


@dataclass(slots=True)
class Counted:
    """Our side of one row. What is estimated is not part of the other two."""

    tokens: int = 0
    usd: Decimal = ZERO
    estimated_tokens: int = 0
    estimated_usd: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Row:
    """One model and kind of token, or `total` of a model, whose tokens are not compared. USD."""

    model: str
    kind: str
    ours: Counted
    their_tokens: int
    their_usd: Decimal
    drifts: bool

    def told(self) -> str:
        estimated = f", estimated {self.ours.estimated_tokens:,} / {self.ours.estimated_usd:.6f}"
        return (
            f"{'DRIFT' if self.drifts else 'ok':5}  {self.model} {self.kind}: ledger {self.ours.tokens:,} / {self.ours.usd:.6f}"
            f"{estimated if self.ours.estimated_tokens or self.ours.estimated_usd else ''}; "
            f"provider {self.their_tokens:,} / {self.their_usd:.6f}"
        )


@dataclass(frozen=True, slots=True)
class Reconciled:
    """`estimated` and `unpriced` count calls; the latter have tokens in the rows, but no USD."""

    day: date
    rows: tuple[Row, ...]
    estimated: int
    unpriced: int
    other_usd: Decimal

    @property
    def drifts(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.drifts)


@dataclass(slots=True)
class Ours:
    rows: dict[tuple[str, str], Counted] = field(default_factory=lambda: defaultdict(Counted))
    estimated: int = 0
    unpriced: int = 0

    def add(self, entry: LedgerEntry, price: Price | None, amount: Decimal | None) -> None:
        model = base_name(entry.model)
        self.estimated += entry.estimated
        self.unpriced += amount is None
        self._count(model, "total", 0, amount or ZERO, entry.estimated)
        for kind in TOKEN_KINDS.values():
            if tokens := getattr(entry, kind):
                usd = part_of(entry.usage(), kind, price) if price else ZERO
                self._count(model, kind, tokens, usd, entry.estimated)

    def _count(self, model: str, kind: str, tokens: int, usd: Decimal, estimated: bool) -> None:
        row = self.rows[model, kind]
        if estimated:
            row.estimated_tokens += tokens
            row.estimated_usd += usd
        else:
            row.tokens += tokens
            row.usd += usd


def reconcile(*, day: date, theirs: ProviderDay, provider_mode: str, tolerance: Decimal) -> Reconciled:
    """Compare a UTC day. `tolerance` is a share of what the provider says (0.01 = 1 %).

    What is estimated may have been billed or not: a difference that it explains is none.
    """
    ours = our_day(day, provider_mode)
    keys = ours.rows.keys() | theirs.tokens.keys() | theirs.usd.keys()
    keys |= {(model, "total") for model, _ in keys}
    order = ("total", *TOKEN_KINDS.values())
    rows = tuple(row_of(key, ours, theirs, tolerance) for key in sorted(keys, key=lambda k: (k[0], order.index(k[1]))))
    return Reconciled(day, rows, ours.estimated, ours.unpriced, theirs.other_usd)


def our_day(day: date, provider_mode: str) -> Ours:
    start = datetime.combine(day, time(0), UTC)
    entries = LedgerEntry.objects.calls().filter(
        provider=PROVIDER, provider_mode=provider_mode, at__gte=start, at__lt=start + timedelta(days=1)
    )
    prices = {row.pk: row.as_price() for row in ModelPrice.objects.filter(provider=PROVIDER)}
    ours = Ours()
    for entry in entries.prefetch_related("adjustments").iterator(chunk_size=1_000):
        adjustments = sorted(entry.adjustments.all(), key=lambda each: each.correction)
        price_id = adjustments[-1].price_id if adjustments else entry.price_id
        ours.add(entry, prices.get(price_id or 0), booked(entry, adjustments))
    return ours


def part_of(usage: Usage, kind: str, price: Price) -> Decimal:
    """What one kind of token of a call costs; the length of the whole prompt decides on the tier."""
    alone = Usage(**{kind: getattr(usage, kind)})
    return rated(usage=alone, price=price) * tier_factor(usage=usage, price=price)


def row_of(key: tuple[str, str], ours: Ours, theirs: ProviderDay, tolerance: Decimal) -> Row:
    model, kind = key
    counted = ours.rows.get(key) or Counted()
    if kind == "total":
        tokens, usd = 0, sum((amount for (name, _), amount in theirs.usd.items() if name == model), ZERO)
    else:
        tokens, usd = theirs.tokens.get(key, 0), theirs.usd.get(key, ZERO)
    off = beyond(Decimal(counted.tokens), Decimal(counted.estimated_tokens), Decimal(tokens), tolerance, ZERO)
    off = off or beyond(counted.usd, counted.estimated_usd, usd, tolerance, ROUNDING)
    return Row(model, kind, counted, tokens, usd, off)


def beyond(counted: Decimal, estimated: Decimal, theirs: Decimal, tolerance: Decimal, rounding: Decimal) -> bool:
    """Whether theirs lies outside [counted, counted + estimated], widened by what is tolerated."""
    slack = abs(theirs) * tolerance + rounding
    return not counted - slack <= theirs <= counted + estimated + slack


def note_drift(day: date, drifts: Sequence[Row]) -> None:
    """The ledger and the provider do not say the same of a day: to the log, and to whom alerts go."""
    told = "; ".join(row.told() for row in drifts)
    log.error("the ledger of %s is not what the provider reports: %s", day, told)
    raise_alert(
        kind=Alert.Kind.DRIFT,
        key=f"{day}:{len(drifts)}",
        severity=Alert.Severity.CRITICAL,
        message=f"the ledger of {day} is not what {PROVIDER} reports",
        at=timezone.now(),
        detail={"day": str(day), "rows": [row.told() for row in drifts[:20]]},
    )


def told(found: Reconciled) -> Iterator[str]:
    yield from (row.told() for row in found.rows)
    if found.estimated:
        yield f"{found.estimated} calls are estimated: whether they were billed is not known here"
    if found.unpriced:
        yield f"{found.unpriced} calls are unpriced: they have tokens above, but no USD"
    if found.other_usd:
        yield f"the provider also charged {found.other_usd:.6f} USD for what is not counted in tokens"
