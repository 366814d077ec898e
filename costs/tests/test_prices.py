"""The shipped price list against golden vectors, and what makes a table of prices sound."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from costs.models import ModelPrice
from costs.price_list import read_price_list
from costs.prices import Price, PriceTable, cost
from costs.usage import Usage

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ROWS = tuple(Price(id=None, **{k: v for k, v in row.items() if k != "source"}) for row in read_price_list())
TABLE = PriceTable(ROWS)
CHAT_ROWS = [row for row in ROWS if row.provider == "anthropic"]
SONNET = "claude-sonnet-4-6"
HAIKU = "claude-haiku-4-5"
TIERED = "claude-haiku-5-5"

# (model, (input, cache_write_5m, cache_write_1h, cache_read, output), USD)
GOLDEN = [
    (SONNET, (3, 12_304, 0, 0, 550), "0.054399"),
    (SONNET, (1_200, 4_096, 0, 0, 300), "0.02346"),
    (SONNET, (1_200, 0, 0, 4_096, 300), "0.0093288"),
    (SONNET, (40, 0, 37_175, 0, 200), "0.22617"),
    (SONNET, (100, 600_000, 400_000, 0, 0), "4.6503"),
    (HAIKU, (3, 12_304, 0, 0, 550), "0.018133"),
    (HAIKU, (1_200, 0, 0, 4_096, 300), "0.0031096"),
    (HAIKU, (1_900, 0, 533_800, 4_800_000, 16_300), "1.631"),
    ("claude-opus-5-5", (1_200, 0, 0, 4_096, 300), "0.0116192"),
    ("claude-sonnet-5-5", (1_200, 0, 0, 4_096, 300), "0.0058096"),
    ("claude-fable-5-1", (1_200, 0, 0, 4_096, 300), "0.028024"),
    (TIERED, (100_000, 0, 0, 0, 10), "0.010005"),
    (TIERED, (100_001, 0, 0, 0, 10), "0.0500255"),
]

# model -> USD per million tokens: input, 5 min write, 1 h write, read, output
PUBLISHED = {
    SONNET: ("3", "3.75", "6", "0.30", "15"),
    HAIKU: ("1", "1.25", "2", "0.10", "5"),
    "claude-sonnet-4-5": ("3", "3.75", "6", "0.30", "15"),
    "claude-opus-4-5": ("5", "6.25", "10", "0.50", "25"),
    "claude-opus-4-6": ("5", "6.25", "10", "0.50", "25"),
    "claude-opus-4-7": ("5", "6.25", "10", "0.50", "25"),
    "claude-opus-4-8": ("5", "6.25", "10", "0.50", "25"),
    "claude-sonnet-5": ("2", "2.50", "4", "0.20", "10"),
    "claude-opus-5": ("5", "6.25", "10", "0.50", "25"),
    "claude-fable-5-1": ("10", "12.50", "20", "0.25", "50"),
    "claude-opus-5-5": ("4", "5", "8", "0.20", "20"),
    "claude-sonnet-5-5": ("2", "2.50", "4", "0.10", "10"),
    TIERED: ("0.10", "0.125", "0.20", "0.01", "0.50"),
}

SELECTED = [
    ("anthropic", "ANSWER_MODEL"),
    ("anthropic", "TRANSFORM_MODEL"),
    ("anthropic", "JUDGE_MODEL"),
    ("voyage", "EMBEDDING_MODEL"),
    ("openai", "FALLBACK_EMBEDDING_MODEL"),
    ("cohere", "RERANK_MODEL"),
]


def price_of(model: str, *, provider: str = "anthropic", at: datetime = NOW) -> Price:
    price = TABLE.find(provider=provider, model=model, at=at)
    assert price is not None
    return price


def dated(model: str, day: datetime, input_usd: str) -> Price:
    return Price(id=None, provider="anthropic", model=model, effective_from=day, input_usd=Decimal(input_usd))


def usages(most: int) -> st.SearchStrategy[Usage]:
    return st.builds(Usage, *(st.integers(0, most) for _ in range(6)))


@pytest.mark.parametrize(("model", "tokens", "usd"), GOLDEN)
def test_it_prices_the_golden_vectors(model: str, tokens: tuple[int, int, int, int, int], usd: str) -> None:
    assert cost(usage=Usage(*tokens), price=price_of(model)) == Decimal(usd)


@pytest.mark.parametrize(("model", "rates"), PUBLISHED.items())
def test_it_ships_the_published_rates(model: str, rates: tuple[str, ...]) -> None:
    row = price_of(model)

    shipped = (row.input_usd, row.cache_write_5m_usd, row.cache_write_1h_usd, row.cache_read_usd, row.output_usd)
    assert shipped == tuple(map(Decimal, rates))


@pytest.mark.parametrize(
    ("provider", "model", "usage", "usd"),
    [
        ("voyage", "voyage-3.5", Usage(input_tokens=1_000_000), "0.06"),
        ("voyage", "voyage-3.5-lite", Usage(input_tokens=1_000_000), "0.02"),
        ("voyage", "voyage-3-large", Usage(input_tokens=1_000_000), "0.18"),
        ("voyage", "voyage-4", Usage(input_tokens=1_000_000), "0.06"),
        ("voyage", "voyage-4-lite", Usage(input_tokens=1_000_000), "0.02"),
        ("voyage", "voyage-4-large", Usage(input_tokens=1_000_000), "0.12"),
        ("openai", "text-embedding-3-small", Usage(input_tokens=1_000_000), "0.02"),
        ("openai", "text-embedding-3-large", Usage(input_tokens=1_000_000), "0.13"),
        ("cohere", "rerank-v3.5", Usage(search_units=1), "0.002"),
        ("cohere", "rerank-v4.0-fast", Usage(search_units=1_000), "2"),
        ("cohere", "rerank-v4.0-pro", Usage(search_units=1_000), "2.5"),
        ("cohere", "rerank-v5.0-fast", Usage(input_tokens=1_000_000), "0.02"),
        ("cohere", "rerank-v5.0-pro", Usage(input_tokens=1_000_000), "0.05"),
    ],
)
def test_it_prices_embeddings_by_token_and_reranks_by_their_unit(
    provider: str, model: str, usage: Usage, usd: str
) -> None:
    assert cost(usage=usage, price=price_of(model, provider=provider)) == Decimal(usd)


@pytest.mark.parametrize("row", CHAT_ROWS, ids=lambda row: f"{row.model} {row.effective_from:%Y-%m-%d}")
def test_every_chat_price_keeps_the_vendors_proportions(row: Price) -> None:
    assert row.input_usd > 0
    assert row.output_usd > row.input_usd
    assert row.cache_write_1h_usd == 2 * row.input_usd
    assert row.cache_write_5m_usd == Decimal("1.25") * row.input_usd
    assert 0 < row.cache_read_usd <= row.input_usd


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.model} {row.effective_from:%Y-%m-%d}")
def test_no_shipped_row_is_free(row: Price) -> None:
    assert row.input_usd > 0 or row.search_usd > 0
    assert row.tier_factor >= 1
    assert row.tokens_factor >= 1


@pytest.mark.parametrize(("provider", "name"), SELECTED)
def test_every_model_that_the_settings_select_has_a_price(provider: str, name: str) -> None:
    assert TABLE.find(provider=provider, model=getattr(settings, name), at=NOW) is not None


def test_every_row_of_the_list_names_its_source() -> None:
    assert all(row["source"] for row in read_price_list())


def test_the_answering_model_has_the_stricter_of_its_two_documented_minima() -> None:
    assert price_of(SONNET).min_cacheable_tokens == 2048
    assert price_of(HAIKU).min_cacheable_tokens == 4096


@pytest.mark.parametrize(("provider", "model"), [("anthropic", "claude-9"), ("openai", SONNET), ("nobody", "")])
def test_an_unknown_model_is_unpriced(provider: str, model: str) -> None:
    assert TABLE.find(provider=provider, model=model, at=NOW) is None


def test_a_model_is_unpriced_before_its_first_row() -> None:
    assert TABLE.find(provider="anthropic", model=SONNET, at=datetime(2024, 12, 31, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("at", "read_usd"),
    [
        (datetime(2026, 10, 6, 23, 59, 59, tzinfo=UTC), "0.20"),
        (datetime(2026, 10, 7, tzinfo=UTC), "0.10"),
        (NOW, "0.10"),
    ],
)
def test_the_row_in_force_at_the_time_counts(at: datetime, read_usd: str) -> None:
    assert price_of("claude-sonnet-5-5", at=at).cache_read_usd == Decimal(read_usd)


def test_the_order_of_the_rows_does_not_matter() -> None:
    old, new = dated("m", NOW - timedelta(days=2), "1"), dated("m", NOW - timedelta(days=1), "2")

    found = PriceTable([new, old]).find(provider="anthropic", model="m", at=NOW)

    assert found == new


def test_a_future_row_is_not_in_force_yet() -> None:
    present, future = dated("m", NOW, "1"), dated("m", NOW + timedelta(seconds=1), "2")

    found = PriceTable([present, future]).find(provider="anthropic", model="m", at=NOW)

    assert found == present


LONG_PROMPTS = [Usage(100_000, 0, 0, 2), Usage(0, 100_002), Usage(0, 0, 100_002), Usage(2, 0, 50_000, 50_000)]


@pytest.mark.parametrize("prompt", LONG_PROMPTS)
def test_cached_tokens_count_toward_the_tier(prompt: Usage) -> None:
    row = price_of(TIERED)
    halves = Usage(*(part // 2 for part in prompt.as_dict().values()))

    whole, parts = cost(usage=prompt, price=row), 2 * cost(usage=halves, price=row)

    assert whole > 4 * parts


def test_output_does_not_count_toward_the_tier() -> None:
    assert cost(usage=Usage(output_tokens=1_000_000), price=price_of(TIERED)) == Decimal("0.5")


@given(first=usages(20_000), second=usages(20_000), row=st.sampled_from(ROWS))
def test_the_cost_is_additive_below_the_tier(first: Usage, second: Usage, row: Price) -> None:
    together = cost(usage=first + second, price=row)

    apart = cost(usage=first, price=row) + cost(usage=second, price=row)
    assert abs(together - apart) <= Decimal("0.00000001")


@given(usage=usages(2_000_000), more=usages(2_000_000), row=st.sampled_from(ROWS))
def test_more_usage_never_costs_less(usage: Usage, more: Usage, row: Price) -> None:
    assert cost(usage=usage + more, price=row) >= cost(usage=usage, price=row) >= 0


def test_it_rounds_half_up_to_eight_places() -> None:
    price = dated("m", NOW, "0.005")

    assert cost(usage=Usage(input_tokens=1), price=price) == Decimal("0.00000001")
    assert cost(usage=Usage(input_tokens=3), price=price) == Decimal("0.00000002")


def test_the_whole_prompt_is_input_writes_and_reads() -> None:
    assert Usage(1, 20, 300, 4_000, 50_000, 600_000).prompt_tokens == 4_321


def test_the_migration_installs_every_shipped_row(db: None) -> None:
    installed = {(row.provider, row.model, row.effective_from): row for row in ModelPrice.objects.all()}

    assert installed.keys() == {(row.provider, row.model, row.effective_from) for row in ROWS}
    for row in ROWS:
        stored = installed[row.provider, row.model, row.effective_from].as_price()
        assert {name: getattr(stored, name) for name in Price.__dataclass_fields__ if name != "id"} == {
            name: getattr(row, name) for name in Price.__dataclass_fields__ if name != "id"
        }
