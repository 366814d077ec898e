"""What the arms of a replay cost: booked and billed, to the token and the cent, and one arm against the other."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from costs.models import LedgerEntry
from costs.prices import Price
from costs.usage import Usage
from rag.spending import COMPONENTS, Request, Spent, by_component, least, prefix_tokens, prompt_hit_rate

LOOKED_UP_AT_ONCE = 500
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Account:
    """Calls that cost something, what they used and what they cost, added up."""

    calls: int
    usage: Usage
    usd: Decimal

    def told(self) -> str:
        tokens = f"{self.usage.prompt_tokens:,} + {self.usage.output_tokens:,} tokens"
        return f"{self.usd:.8f} USD in {self.calls:,} calls, {tokens}, {self.usage.search_units:,} searches"


@dataclass(frozen=True, slots=True)
class Arm:
    """One log through one module. `codes`: why requests failed, if any did."""

    module: str
    requests: tuple[Request, ...]
    hits: int
    codes: tuple[str, ...]
    booked: Account
    billed: Account

    @property
    def cost_per_query(self) -> Decimal:
        return self.booked.usd / len(self.requests)

    @property
    def answer_hit_rate(self) -> float:
        return self.hits / len(self.requests)


@dataclass(frozen=True, slots=True)
class Comparison:
    profile: str
    plain: Arm
    cached: Arm
    price: Price
    fresh_s: int

    @property
    def bound(self) -> Decimal:
        """USD that an oracle would have paid for the log."""
        return least(self.cached.requests, price=self.price, fresh_s=self.fresh_s)

    @property
    def bound_keeping_refusals(self) -> Decimal:
        """The same by another rule: that the sources do not hold an answer is given again, too, while it is fresh."""
        return least(self.cached.requests, price=self.price, fresh_s=self.fresh_s, refusals_kept=True)

    @property
    def saving(self) -> float:
        """How much less a query costs with caches than without, as a share."""
        return float(1 - self.cached.booked.usd / self.plain.booked.usd)

    @property
    def over_oracle(self) -> float:
        """How much more was paid than had to be, as a share of the bound."""
        return float(self.cached.booked.usd / self.bound - 1)

    @property
    def faults(self) -> list[str]:
        """What makes the figures worthless: requests that failed, or a ledger that is not the bill."""
        found = []
        for arm in (self.plain, self.cached):
            if arm.codes:
                codes = ", ".join(sorted(set(arm.codes)))
                found.append(f"{self.profile}, {arm.module}: {len(arm.codes)} requests failed ({codes})")
            if arm.booked != arm.billed:
                told = f"the ledger has {arm.booked.told()}; the bill {arm.billed.told()}"
                found.append(f"{self.profile}, {arm.module}: {told}")
        return found

    def components(self, arm: Arm) -> dict[str, Decimal]:
        """USD per query."""
        prefix = prefix_tokens(request.spent for request in self.cached.requests)
        sums = by_component((request.spent for request in arm.requests), prefix=prefix, price=self.price)
        return {name: sums[name] / len(arm.requests) for name in COMPONENTS}

    def prompt_hit_rate(self, arm: Arm) -> float | None:
        return prompt_hit_rate(request.spent for request in arm.requests)


def booked(trace_ids: Iterable[str]) -> dict[str, list[LedgerEntry]]:
    """The ledger by trace, in the order given; an empty list for an answer that was given again."""
    found: dict[str, list[LedgerEntry]] = {trace_id: [] for trace_id in trace_ids}
    ids = list(found)
    for first in range(0, len(ids), LOOKED_UP_AT_ONCE):
        for entry in LedgerEntry.objects.filter(trace_id__in=ids[first : first + LOOKED_UP_AT_ONCE]):
            found[entry.trace_id].append(entry)
    return found


def spent_of(entries: Iterable[LedgerEntry]) -> Spent:
    usd: dict[str, Decimal] = defaultdict(Decimal)
    generation = Usage()
    for entry in entries:
        usd[entry.operation] += entry.cost_usd or ZERO
        if entry.operation == "generate":
            generation += entry.usage()
    return Spent(usd["transform"], usd["embed"], usd["rerank"], generation)


def account_of_ledger(entries: Iterable[LedgerEntry]) -> Account:
    """A call that is unpriced or cost nothing is not on the bill either. An adjustment is no call, and counts in the sums."""
    paid = [entry for entry in entries if entry.cost_usd]
    calls = sum(not entry.correction for entry in paid)
    return Account(calls, sum((entry.usage() for entry in paid), Usage()), total(entry.cost_usd for entry in paid))


def account_of_bill(entries: Iterable[dict[str, Any]], key: str) -> Account:
    """The bill shows the last four characters of a key."""
    ours = [entry for entry in entries if entry["key"] == key[-4:]]
    usage = sum((usage_of_bill(entry["usage"]) for entry in ours), Usage())
    return Account(len(ours), usage, total(Decimal(entry["cost_usd"]) for entry in ours))


def usage_of_bill(told: dict[str, int]) -> Usage:
    """Of any vendor: the bill counts embeddings in `total_tokens`."""
    return Usage(
        input_tokens=told.get("input_tokens", 0) + told.get("total_tokens", 0),
        cache_write_5m=told.get("cache_write_5m_tokens", 0),
        cache_write_1h=told.get("cache_write_1h_tokens", 0),
        cache_read=told.get("cache_read_tokens", 0),
        output_tokens=told.get("output_tokens", 0),
        search_units=told.get("search_units", 0),
    )


def total(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((amount for amount in amounts if amount is not None), ZERO)
