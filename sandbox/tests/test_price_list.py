from datetime import UTC, datetime
from decimal import Decimal

import pytest

from sandbox import catalog, price_list
from sandbox.price_list import ChatUsage, chat_cost

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        ("claude-sonnet-4-6", (3, 12304, 0, 0, 550), "0.054399"),
        ("claude-sonnet-4-6", (1200, 4096, 0, 0, 300), "0.02346"),
        ("claude-sonnet-4-6", (1200, 0, 0, 4096, 300), "0.0093288"),
        ("claude-sonnet-4-6", (40, 0, 37175, 0, 200), "0.22617"),
        ("claude-sonnet-4-6", (100, 600000, 400000, 0, 0), "4.6503"),
        ("claude-haiku-4-5", (3, 12304, 0, 0, 550), "0.018133"),
        ("claude-haiku-4-5", (1200, 0, 0, 4096, 300), "0.0031096"),
        ("claude-haiku-4-5", (1900, 0, 533800, 4800000, 16300), "1.631"),
        ("claude-opus-5-5", (1200, 0, 0, 4096, 300), "0.0116192"),
        ("claude-sonnet-5-5", (1200, 0, 0, 4096, 300), "0.0058096"),
        ("claude-fable-5-1", (1200, 0, 0, 4096, 300), "0.028024"),
        ("claude-haiku-5-5", (100000, 0, 0, 0, 10), "0.010005"),
        ("claude-haiku-5-5", (100001, 0, 0, 0, 10), "0.0500255"),
        ("claude-haiku-4-5-20251001", (1000000, 0, 0, 0, 0), "1"),
    ],
)
def test_known_bills_come_out_exactly(model, usage, usd):
    assert chat_cost(model, ChatUsage(*usage), at=NOW) == Decimal(usd)


def test_the_read_price_of_sonnet_5_5_fell_on_a_day():
    usage = ChatUsage(cache_read=1_000_000)
    before, after = (datetime(2026, 10, day, 23, 59, tzinfo=UTC) for day in (6, 7))

    assert chat_cost("claude-sonnet-5-5", usage, at=before) == Decimal("0.2")
    assert chat_cost("claude-sonnet-5-5", usage, at=after) == Decimal("0.1")


def test_every_model_that_is_served_has_a_price():
    assert set(catalog.CHAT_FAMILIES) == set(price_list.CHAT_PRICES)
    assert set(catalog.VOYAGE_MODELS) | set(catalog.OPENAI_MODELS) == set(price_list.EMBEDDING_PRICES)
    reranked = set(price_list.RERANK_PRICES_PER_THOUSAND_UNITS) | set(price_list.RERANK_PRICES_PER_MILLION_TOKENS)
    assert reranked == catalog.RERANK_MODELS


@pytest.mark.parametrize("price", price_list.CHAT_PRICES.values())
def test_the_table_keeps_the_proportions_that_hold_for_every_model(price):
    assert price.write_5m == price.input * Decimal("1.25")
    assert price.write_1h == price.input * 2
    assert price.read <= price.input < price.output


def test_search_units_and_tokens_are_charged_apart():
    assert price_list.rerank_cost("rerank-v3.5", search_units=3, tokens=None) == Decimal("0.006")
    assert price_list.rerank_cost("rerank-v5.0-pro", search_units=None, tokens=1_000) == Decimal("0.00005")
