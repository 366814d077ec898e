"""The ledger of a span held against the provider's own bill: per model and kind of token."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from django.conf import settings
from django.utils import timezone

from costs.alerts import raise_alert
from costs.bills.values import TOTAL, Bill, Span, base_name
from costs.estimates import FACTOR, ROUNDING, Guessed, room_of, unexplained
from costs.ledger import Standing, standing_of
from costs.models import Alert, LedgerEntry, LedgerQuerySet, ModelPrice
from costs.prices import EIGHT_PLACES, Price, rated, tier_factor
from costs.usage import KINDS, Usage

log = logging.getLogger(__name__)

LONGEST_ASIDE = 300
"""tokens: no transform and no verdict is asked to be longer"""
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Check:
    """What is compared. `tolerance` is a share of what the provider says (0.01 = 1 %); `factor`: see `costs.estimates`."""

    provider: str
    mode: str
    span: Span
    bill: Bill
    tolerance: Decimal = Decimal("0.01")
    factor: Decimal = FACTOR

    def entries(self) -> LedgerQuerySet:
        """The calls of the provider in the span, and their adjustments."""
        return LedgerEntry.objects.filter(
            provider=self.provider, provider_mode=self.mode, at__gte=self.span.since, at__lt=self.span.until
        )

    def usd_of(self, model: str) -> Decimal | None:
        """To the last place of the ledger; None: the provider does not tell."""
        usd = self.bill.usd_of(model)
        return None if usd is None else usd.quantize(EIGHT_PLACES)

    def why_unexplained(self, model: str, usage: Usage, usd: Decimal, guessed: Guessed) -> str:
        """Why the estimates of a model do not account for the bill beside `usage` and `usd`, of the exact calls."""
        longest = max(settings.ANSWER_MAX_TOKENS, LONGEST_ASIDE)
        room = room_of(guessed, factor=self.factor, longest_reply=longest)
        theirs = self.usd_of(model)
        left = None if theirs is None else theirs - usd
        return unexplained(self.bill.usage.get(model, Usage()) - usage, left, guessed, room)


@dataclass(slots=True)
class Counted:
    """Our side of one row. What is estimated is not part of the other two; it counts as it stands, adjusted or not."""

    tokens: int = 0
    usd: Decimal = ZERO
    estimated_tokens: int = 0
    estimated_usd: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Row:
    """One model and kind of token, or `total` of a model, whose tokens are not compared. `their_usd` None: not told."""

    model: str
    kind: str
    ours: Counted
    their_tokens: int
    their_usd: Decimal | None
    drifts: bool

    @property
    def equal(self) -> bool:
        """Kinds to the token, a total to the last digit, if the provider tells it."""
        if self.kind != TOTAL:
            return self.ours.tokens + self.ours.estimated_tokens == self.their_tokens
        usd = self.ours.usd + self.ours.estimated_usd
        return self.their_usd is None or usd == self.their_usd.quantize(EIGHT_PLACES)

    def told(self) -> str:
        theirs = "not told" if self.their_usd is None else f"{self.their_usd:.8f}"
        estimated = f", estimated {self.ours.estimated_tokens:,} / {self.ours.estimated_usd:.8f}"
        return (
            f"{'DRIFT' if self.drifts else 'ok':5}  {self.model} {self.kind}: ledger {self.ours.tokens:,} / {self.ours.usd:.8f}"
            f"{estimated if self.ours.estimated_tokens or self.ours.estimated_usd else ''}; "
            f"provider {self.their_tokens:,} / {theirs}"
        )


@dataclass(frozen=True, slots=True)
class Reconciled:
    """`estimated` and `unpriced` count calls; the latter have tokens in the rows, but no USD. `reasons`: by model, why its
    estimates do not account for the difference that there is.
    """

    check: Check
    rows: tuple[Row, ...]
    estimated: int
    unpriced: int
    reasons: Mapping[str, str]

    @property
    def drifts(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.drifts)

    @property
    def equal(self) -> bool:
        """Nothing is left to settle."""
        return all(row.equal for row in self.rows)


@dataclass(slots=True)
class Ours:
    rows: dict[tuple[str, str], Counted] = field(default_factory=lambda: defaultdict(Counted))
    exact: dict[str, Usage] = field(default_factory=lambda: defaultdict(Usage))
    guesses: dict[str, list[tuple[Usage, Price | None]]] = field(default_factory=lambda: defaultdict(list))
    unpriced: int = 0

    def add(self, entry: LedgerEntry, stands: Standing, price: Price | None) -> None:
        model = base_name(entry.model)
        self.unpriced += stands.usd is None
        self._count(model, TOTAL, 0, stands.usd or ZERO, entry.estimated)
        if entry.estimated:
            self.guesses[model].append((entry.usage(), price))
        else:
            self.exact[model] += stands.usage
        for kind in KINDS:
            if tokens := getattr(stands.usage, kind):
                usd = part_of(stands.usage, kind, price) if price else ZERO
                self._count(model, kind, tokens, usd, entry.estimated)

    def _count(self, model: str, kind: str, tokens: int, usd: Decimal, estimated: bool) -> None:
        row = self.rows[model, kind]
        if estimated:
            row.estimated_tokens += tokens
            row.estimated_usd += usd
        else:
            row.tokens += tokens
            row.usd += usd

    def guessed(self, model: str) -> Guessed:
        guesses = self.guesses.get(model, [])
        usage = sum((guess for guess, _ in guesses), Usage())
        return Guessed(len(guesses), usage, tuple({price for _, price in guesses}))


def reconcile(check: Check) -> Reconciled:
    """Compare, and change nothing. What estimates account for is no difference."""
    ours = our_side(check)
    models = {model for model, _ in ours.rows} | check.bill.models
    reasons = {
        model: check.why_unexplained(model, ours.exact[model], ours.rows[model, TOTAL].usd, ours.guessed(model))
        for model in models
    }
    rows = tuple(row for model in sorted(models) for row in rows_of(model, check, ours, explained=not reasons[model]))
    told = {row.model for row in rows if row.drifts or (not row.equal and row.model in ours.guesses)}
    estimated = sum(map(len, ours.guesses.values()))
    return Reconciled(check, rows, estimated, ours.unpriced, {name: reasons[name] for name in told if reasons[name]})


def our_side(check: Check) -> Ours:
    prices = {row.pk: row.as_price() for row in ModelPrice.objects.filter(provider=check.provider)}
    ours = Ours()
    for entry in check.entries().calls().prefetch_related("adjustments").iterator(chunk_size=1_000):
        stands = standing_of(entry, entry.adjustments.all())
        ours.add(entry, stands, prices.get(stands.price_id or 0))
    return ours


def part_of(usage: Usage, kind: str, price: Price) -> Decimal:
    """What one kind of token of a call costs; the length of the whole prompt decides on the tier."""
    alone = Usage(**{kind: getattr(usage, kind)})
    return rated(usage=alone, price=price) * tier_factor(usage=usage, price=price)


def rows_of(model: str, check: Check, ours: Ours, *, explained: bool) -> Iterator[Row]:
    yield row_of((model, TOTAL), ours, 0, check.bill.usd_of(model), check.tolerance, explained)
    theirs = check.bill.usage.get(model, Usage())
    for kind in KINDS:
        tokens = getattr(theirs, kind)
        usd = (check.bill.usd or {}).get((model, kind), ZERO) if check.bill.splits_cost else None
        if tokens or usd or (model, kind) in ours.rows:
            yield row_of((model, kind), ours, tokens, usd, check.tolerance, explained)


def row_of(
    key: tuple[str, str], ours: Ours, tokens: int, usd: Decimal | None, tolerance: Decimal, explained: bool
) -> Row:
    counted = ours.rows.get(key) or Counted()
    off = beyond(Decimal(counted.tokens), Decimal(counted.estimated_tokens), Decimal(tokens), tolerance, ZERO)
    if usd is not None:
        off = off or beyond(counted.usd, counted.estimated_usd, usd, tolerance, ROUNDING)
    return Row(*key, counted, tokens, usd, off and not explained)


def beyond(counted: Decimal, estimated: Decimal, theirs: Decimal, tolerance: Decimal, rounding: Decimal) -> bool:
    """Whether theirs lies outside [counted, counted + estimated], widened by what is tolerated."""
    slack = abs(theirs) * tolerance + rounding
    return not counted - slack <= theirs <= counted + estimated + slack


def note_drift(found: Reconciled) -> None:
    """The ledger and the provider do not say the same of a span: to the log, and to whom alerts go."""
    check, drifts = found.check, found.drifts
    message = f"the ledger of {check.span} is not what {check.provider} reports"
    log.error("%s: %s", message, "; ".join(row.told() for row in drifts))
    raise_alert(
        kind=Alert.Kind.DRIFT,
        key=f"{check.mode}:{check.provider}:{check.span}:{len(drifts)}",
        severity=Alert.Severity.CRITICAL,
        message=message,
        at=timezone.now(),
        detail={
            "provider": check.provider,
            "provider_mode": check.mode,
            "span": str(check.span),
            "rows": [row.told() for row in drifts[:20]],
            "reasons": dict(found.reasons),
        },
    )


def told(found: Reconciled) -> Iterator[str]:
    yield from (row.told() for row in found.rows)
    yield from (f"{model} is not settled: {why}" for model, why in sorted(found.reasons.items()))
    if found.estimated and not found.equal:
        yield f"{found.estimated} calls are estimated: what was billed for them is not known here"
    if found.unpriced:
        yield f"{found.unpriced} calls are unpriced: they have tokens above, but no USD"
    if found.check.bill.other_usd:
        yield f"the provider also charged {found.check.bill.other_usd:.6f} USD for something else"
