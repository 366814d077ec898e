"""Prices and what they make of a usage. Plain Python, Decimal throughout: no Django, no clock."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from costs.usage import Usage

MILLION = Decimal(1_000_000)
THOUSAND = Decimal(1_000)
EIGHT_PLACES = Decimal("0.00000001")


@dataclass(frozen=True, slots=True)
class Price:
    """One dated row of the price table. Token rates are USD per million tokens, `search_usd` is USD per 1,000 search units.

    Where a prompt is longer than `tier_threshold` tokens (writes and reads included, strictly greater), every rate of the
    whole request is multiplied by `tier_factor`. `min_cacheable_tokens` is the shortest prefix the provider caches;
    `accepts_sampling` says whether the model takes a temperature; `tokens_factor` is the length of its token count
    against the older tokeniser's.
    """

    id: int | None
    provider: str
    model: str
    effective_from: datetime
    input_usd: Decimal
    cache_write_5m_usd: Decimal = Decimal(0)
    cache_write_1h_usd: Decimal = Decimal(0)
    cache_read_usd: Decimal = Decimal(0)
    output_usd: Decimal = Decimal(0)
    search_usd: Decimal = Decimal(0)
    tier_threshold: int | None = None
    tier_factor: Decimal = Decimal(1)
    min_cacheable_tokens: int | None = None
    accepts_sampling: bool = True
    tokens_factor: Decimal = Decimal(1)


def cost(*, usage: Usage, price: Price) -> Decimal:
    """USD, rounded half up to the eight places that the ledger stores."""
    return (rated(usage=usage, price=price) * tier_factor(usage=usage, price=price)).quantize(
        EIGHT_PLACES, ROUND_HALF_UP
    )


def rated(*, usage: Usage, price: Price) -> Decimal:
    """USD by the rates alone, exact, whatever the length of the prompt."""
    tokens = (
        usage.input_tokens * price.input_usd
        + usage.cache_write_5m * price.cache_write_5m_usd
        + usage.cache_write_1h * price.cache_write_1h_usd
        + usage.cache_read * price.cache_read_usd
        + usage.output_tokens * price.output_usd
    ) / MILLION
    return tokens + usage.search_units * price.search_usd / THOUSAND


def saved_by_prompt_cache(*, usage: Usage, price: Price) -> Decimal:
    """USD that reading instead of sending has saved, less what writing cost on top of sending; negative until it has paid."""
    tokens = (
        usage.cache_read * (price.input_usd - price.cache_read_usd)
        - usage.cache_write_5m * (price.cache_write_5m_usd - price.input_usd)
        - usage.cache_write_1h * (price.cache_write_1h_usd - price.input_usd)
    ) / MILLION
    return (tokens * tier_factor(usage=usage, price=price)).quantize(EIGHT_PLACES, ROUND_HALF_UP)


def uses_to_break_even(*, write_usd: Decimal, price: Price) -> int | None:
    """How often a prefix must be used in its lifetime, the write included, until marking it is cheaper than sending it always.

    Write w, read r, input i: the least n with w + (n - 1) r < n i. None where no number of uses pays.
    """
    if price.cache_read_usd >= price.input_usd:
        return None
    return int((write_usd - price.cache_read_usd) / (price.input_usd - price.cache_read_usd)) + 1


def tier_factor(*, usage: Usage, price: Price) -> Decimal:
    if price.tier_threshold is not None and usage.prompt_tokens > price.tier_threshold:
        return price.tier_factor
    return Decimal(1)


class PriceTable:
    """The rows known at one moment; looks up the row in force for a model at a time."""

    def __init__(self, rows: Iterable[Price]) -> None:
        self._rows: dict[tuple[str, str], list[Price]] = {}
        for row in sorted(rows, key=lambda row: row.effective_from):
            self._rows.setdefault((row.provider, row.model), []).append(row)

    def find(self, *, provider: str, model: str, at: datetime) -> Price | None:
        """The latest row effective at `at`; None = unpriced, which is never the same as free."""
        in_force = [row for row in self._rows.get((provider, model), []) if row.effective_from <= at]
        return in_force[-1] if in_force else None
