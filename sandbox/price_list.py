"""What the providers charge: the sandbox's own copy, kept apart from the application's to be compared with it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from sandbox.catalog import base_model

MILLION = Decimal(1_000_000)
THOUSAND = Decimal(1_000)


@dataclass(frozen=True, slots=True)
class ChatUsage:
    """Tokens. `input` excludes whatever was written to or read from the cache."""

    input: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    output: int = 0

    @property
    def prompt(self) -> int:
        return self.input + self.cache_write_5m + self.cache_write_1h + self.cache_read


@dataclass(frozen=True, slots=True)
class ChatPrice:
    """USD per million tokens. Above `tier_above` prompt tokens every rate is multiplied by `tier_factor`."""

    input: Decimal
    write_5m: Decimal
    write_1h: Decimal
    read: Decimal
    output: Decimal
    tier_above: int | None = None
    tier_factor: int = 1


def _price(rates: str, *, tier_above: int | None = None, tier_factor: int = 1) -> ChatPrice:
    """From "input 5m-write 1h-write read output"."""
    given, write_5m, write_1h, read, output = (Decimal(rate) for rate in rates.split())
    return ChatPrice(given, write_5m, write_1h, read, output, tier_above=tier_above, tier_factor=tier_factor)


_OPUS_4 = _price("5 6.25 10 0.50 25")
CHAT_PRICES = {
    "claude-sonnet-4-5": _price("3 3.75 6 0.30 15"),
    "claude-sonnet-4-6": _price("3 3.75 6 0.30 15"),
    "claude-haiku-4-5": _price("1 1.25 2 0.10 5"),
    "claude-opus-4-5": _OPUS_4,
    "claude-opus-4-6": _OPUS_4,
    "claude-opus-4-7": _OPUS_4,
    "claude-opus-4-8": _OPUS_4,
    "claude-opus-5": _OPUS_4,
    "claude-opus-5-5": _price("4 5 8 0.20 20"),
    "claude-sonnet-5": _price("2 2.50 4 0.20 10"),
    "claude-sonnet-5-5": _price("2 2.50 4 0.10 10"),
    "claude-haiku-5-5": _price("0.10 0.125 0.20 0.01 0.50", tier_above=100_000, tier_factor=5),
    "claude-fable-5-1": _price("10 12.50 20 0.25 50"),
}
SONNET_5_5_READ_CUT = datetime(2026, 10, 7, tzinfo=UTC)
SONNET_5_5_BEFORE_CUT = _price("2 2.50 4 0.20 10")

EMBEDDING_PRICES = {
    "voyage-4-large": Decimal("0.12"),
    "voyage-4": Decimal("0.06"),
    "voyage-4-lite": Decimal("0.02"),
    "voyage-3-large": Decimal("0.18"),
    "voyage-3.5": Decimal("0.06"),
    "voyage-3.5-lite": Decimal("0.02"),
    "text-embedding-3-small": Decimal("0.02"),
    "text-embedding-3-large": Decimal("0.13"),
}
RERANK_PRICES_PER_THOUSAND_UNITS = {
    "rerank-v3.5": Decimal("2.00"),
    "rerank-v4.0-fast": Decimal("2.00"),
    "rerank-v4.0-pro": Decimal("2.50"),
}
RERANK_PRICES_PER_MILLION_TOKENS = {"rerank-v5.0-fast": Decimal("0.02"), "rerank-v5.0-pro": Decimal("0.05")}


def chat_price(model: str, *, at: datetime) -> ChatPrice:
    name = base_model(model)
    if name == "claude-sonnet-5-5" and at < SONNET_5_5_READ_CUT:
        return SONNET_5_5_BEFORE_CUT
    return CHAT_PRICES[name]


def chat_cost(model: str, usage: ChatUsage, *, at: datetime) -> Decimal:
    """USD, exact."""
    return sum(chat_costs(model, usage, at=at).values(), Decimal(0))


def chat_costs(model: str, usage: ChatUsage, *, at: datetime) -> dict[str, Decimal]:
    """The same by kind of token, in the names of `ChatUsage`."""
    price = chat_price(model, at=at)
    dearer = price.tier_factor if price.tier_above is not None and usage.prompt > price.tier_above else 1
    per_million = {
        "input": usage.input * price.input,
        "cache_write_5m": usage.cache_write_5m * price.write_5m,
        "cache_write_1h": usage.cache_write_1h * price.write_1h,
        "cache_read": usage.cache_read * price.read,
        "output": usage.output * price.output,
    }
    return {kind: amount * dearer / MILLION for kind, amount in per_million.items()}


def embedding_cost(model: str, *, tokens: int) -> Decimal:
    return tokens * EMBEDDING_PRICES[model] / MILLION


def rerank_cost(model: str, *, search_units: int | None, tokens: int | None) -> Decimal:
    """Older models charge by search unit, newer ones by token; exactly one of the two is given."""
    if search_units is not None:
        return search_units * RERANK_PRICES_PER_THOUSAND_UNITS[model] / THOUSAND
    return (tokens or 0) * RERANK_PRICES_PER_MILLION_TOKENS[model] / MILLION
