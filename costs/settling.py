"""What was estimated is set right by the provider's bill: adjustments beside the entries, which stay as they are.

What the provider counted beside the exact calls of a model was counted for its estimates. It is shared among them
(`costs.apportioning`), and each gets an adjustment of the difference to what it counts so far, in tokens and cost: after that
the ledger of the model is the bill, to the token and the last digit. What estimates cannot account for (`costs.estimates`) is
never shared out: it stays a drift.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models import BigIntegerField, F, Sum, Value
from django.db.models.functions import Cast, Coalesce, Round

from costs.apportioning import apportioned, shared
from costs.bills.values import base_name
from costs.estimates import Guessed
from costs.ledger import Standing, adjustment_of, standing_of
from costs.models import UNITS_PER_USD, LedgerEntry, LedgerQuerySet, ModelPrice, units, usd
from costs.prices import Price, cost
from costs.reconciling import Check
from costs.usage import KINDS, Usage

AT_ONCE = 500
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Settlement:
    """Of one model: its estimates, how many adjustments were (in a dry run: would be) written, and what they add up to.

    `why_not`: why it was not settled; empty where it is.
    """

    model: str
    estimates: int
    adjustments: int = 0
    usage: Usage = Usage()
    usd: Decimal = ZERO
    why_not: str = ""

    def told(self, *, dry_run: bool) -> str:
        did = "would be written" if dry_run else "written"
        changed = ", ".join(f"{kind} {count:+,}" for kind, count in self.usage.as_dict().items() if count)
        return (
            f"{self.model}: {self.estimates:,} estimates, {self.adjustments:,} adjustments {did} "
            f"({changed or 'no tokens'}, {self.usd:+.8f} USD)"
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """An entry with what it counts so far, and the price that it was last charged with."""

    entry: LedgerEntry
    stands: Standing
    price: Price | None


@dataclass(frozen=True, slots=True)
class Share:
    """What an estimate is to count."""

    usage: Usage
    usd: Decimal


def settle(check: Check, *, dry_run: bool) -> list[Settlement]:
    """Of every model that has estimates in the span. Doing it twice, or twice at once, writes nothing the second time."""
    names: dict[str, list[str]] = defaultdict(list)
    for name in check.entries().values_list("model", flat=True).distinct().order_by("model"):
        names[base_name(name)].append(name)
    with_estimates = set(check.entries().estimates().values_list("model", flat=True).distinct())
    return [
        settle_model(check, model, check.entries().filter(model__in=spelt), dry_run)
        for model, spelt in names.items()
        if with_estimates.intersection(spelt)
    ]


@transaction.atomic
def settle_model(check: Check, model: str, rows: LedgerQuerySet, dry_run: bool) -> Settlement:
    """The estimates are held until the transaction ends: whoever adjusts them at the same time waits, and then sees these."""
    estimates = held(rows)
    exact, exact_usd = sums_of(rows.filter(estimated=False))
    guessed = Guessed(
        len(estimates),
        sum((each.entry.usage() for each in estimates), Usage()),
        tuple({each.price for each in estimates}),
    )
    if why := check.why_unexplained(model, exact, exact_usd, guessed):
        return Settlement(model, len(estimates), why_not=why)
    billed, theirs = check.bill.usage.get(model, Usage()) - exact, check.usd_of(model)
    shares = shares_of(billed, None if theirs is None else theirs - exact_usd, estimates)
    adjustments = list(adjustments_for(estimates, shares, f"the bill of {check.provider} for {check.span}"))
    if not dry_run:
        LedgerEntry.objects.bulk_create(adjustments, batch_size=AT_ONCE)
    usage = sum((each.usage() for each in adjustments), Usage())
    changed = sum((each.cost_usd or ZERO for each in adjustments), ZERO)
    return Settlement(model, len(estimates), len(adjustments), usage, changed)


def held(rows: LedgerQuerySet) -> list[Estimate]:
    entries = list(rows.estimates().select_for_update(of=("self",)).order_by("pk"))
    adjustments: dict[int, list[LedgerEntry]] = defaultdict(list)
    for each in rows.filter(estimated=True, correction__gte=1):
        adjustments[each.adjusts_id or 0].append(each)
    prices = {row.pk: row.as_price() for row in ModelPrice.objects.all()}
    found = []
    for entry in entries:
        stands = standing_of(entry, adjustments[entry.pk])
        found.append(Estimate(entry, stands, prices.get(stands.price_id or 0)))
    return found


def sums_of(rows: LedgerQuerySet) -> tuple[Usage, Decimal]:
    """Tokens and USD, exact on every database."""
    in_units = Cast(Round(F("cost_usd") * Value(UNITS_PER_USD)), BigIntegerField())
    sums = rows.aggregate(
        **{f"{kind}_sum": Coalesce(Sum(kind), 0) for kind in KINDS}, units=Coalesce(Sum(in_units), Value(0))
    )
    return Usage(*(sums[f"{kind}_sum"] for kind in KINDS)), usd(int(sums["units"]))


def shares_of(billed: Usage, amount: Decimal | None, estimates: list[Estimate]) -> list[Share]:
    """What each estimate is to count. Where they add up to the bill already: what they count.

    `amount` None: the provider tells no cost, and that of the tokens by our prices counts.
    """
    stand = [each.stands for each in estimates]
    known = [each.usd for each in stand if each.usd is not None]
    is_settled = sum((each.usage for each in stand), Usage()) == billed and len(known) == len(stand)
    if is_settled and amount in (None, sum(known, ZERO)):
        return [Share(each.usage, each.usd or ZERO) for each in stand]
    usages = shared(billed, [each.entry.usage() for each in estimates])
    costs = [
        cost(usage=usage, price=each.price) if each.price else ZERO
        for usage, each in zip(usages, estimates, strict=True)
    ]
    if amount is not None:
        costs = [usd(part) for part in apportioned(units(amount), [units(each) for each in costs])]
    return [Share(*each) for each in zip(usages, costs, strict=True)]


def adjustments_for(estimates: list[Estimate], shares: list[Share], reason: str) -> Iterator[LedgerEntry]:
    for each, share in zip(estimates, shares, strict=True):
        usage, amount = share.usage - each.stands.usage, share.usd - (each.stands.usd or ZERO)
        if usage == Usage() and not amount and each.stands.usd is not None:
            continue
        number, price_id = each.stands.adjustments + 1, each.stands.price_id
        yield adjustment_of(each.entry, number=number, usd=amount, price_id=price_id, reason=reason, usage=usage)
