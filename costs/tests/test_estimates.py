"""What of a difference estimates can explain."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from costs.estimates import Guessed, room_of, unexplained
from costs.prices import Price
from costs.usage import Usage

CHAT = Price(1, "anthropic", "sonnet", datetime(2026, 1, 1, tzinfo=UTC), Decimal(3), output_usd=Decimal(15))
TIERED = Price(
    *(2, "anthropic", "haiku", datetime(2026, 1, 1, tzinfo=UTC), Decimal(1)),
    tier_threshold=1_000,
    tier_factor=Decimal(5),
)
EMBEDDER = Price(3, "voyage", "voyage-3.5", datetime(2026, 1, 1, tzinfo=UTC), Decimal("0.06"))


def why(billed: Usage, usd: str | None, *prices: Price | None, calls: int = 2) -> str:
    guessed = Guessed(calls, Usage(10_000) if calls else Usage(), prices)
    room = room_of(guessed, factor=Decimal(2), longest_reply=800)
    return unexplained(billed, None if usd is None else Decimal(usd), guessed, room)


@pytest.mark.parametrize(
    ("billed", "usd"),
    [
        (Usage(), "0"),
        (Usage(10_000), "0.03"),
        (Usage(20_032), "0.060096"),
        (Usage(5_000, output_tokens=1_600), "0.039"),
        (Usage(5_000, output_tokens=1_600), None),
        (Usage(10_000), "0.03005"),
    ],
)
def test_up_to_the_most_they_can_be_they_explain_it(billed: Usage, usd: str | None) -> None:
    assert why(billed, usd, CHAT) == ""


@pytest.mark.parametrize(
    ("billed", "usd", "reason"),
    [
        (Usage(20_033), "0.060099", "20,033 prompt tokens are more than its 2 estimates can be: 20,032"),
        (Usage(10_000, cache_read=10_033), "0.03", "20,033 prompt tokens are more"),
        (Usage(output_tokens=1_601), "0.024015", "1,601 output tokens are more"),
        (Usage(search_units=1), "0", "1 search units are more than its 2 estimates can be: 0"),
        (Usage(-1), "0", "the provider counted less than it had told us, in input_tokens"),
        (Usage(10_000), "0.0301", "0.03010000 USD is not what these tokens cost by the price table: 0.03000000"),
        (Usage(10_000), "0.0299", "is not what these tokens cost"),
        (Usage(), "-0.0001", "is not what these tokens cost"),
    ],
)
def test_beyond_that_they_do_not(billed: Usage, usd: str, reason: str) -> None:
    assert reason in why(billed, usd, CHAT)


def test_nothing_is_explained_by_no_estimates() -> None:
    assert why(Usage(1), "0", calls=0) == "no call of it is estimated"


def test_a_model_that_charges_for_no_output_has_none() -> None:
    assert "1 output tokens are more" in why(Usage(output_tokens=1), "0", EMBEDDER)


def test_long_prompts_may_cost_more() -> None:
    assert why(Usage(10_000), "0.05", TIERED) == ""
    assert "is not what these tokens cost" in why(Usage(10_000), "0.06", TIERED)


def test_between_two_prices_of_a_day_all_is_possible() -> None:
    dearer = Price(4, "anthropic", "sonnet", datetime(2026, 1, 2, tzinfo=UTC), Decimal(6), output_usd=Decimal(15))

    assert why(Usage(10_000), "0.045", CHAT, dearer) == ""


@pytest.mark.parametrize("usd", ["0.03", None])
def test_without_a_price_nothing_is_explained(usd: str | None) -> None:
    assert "it has no price here" in why(Usage(10_000), usd, CHAT, None)
