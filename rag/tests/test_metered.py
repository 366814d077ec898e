"""Every attempt is measured, priced and kept, whatever came of it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from costs.ledger import Attempt
from costs.prices import Price, PriceTable
from costs.usage import Usage
from rag.errors import (
    ProviderBusy,
    ProviderError,
    ProviderMalformed,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from rag.providers.contracts import ChatRequest, Message, RerankReply, RerankRequest
from rag.providers.metered import Label, Meter, Metered
from rag.providers.retry import Retrying, RetryPolicy
from rag.tests.doubles import Scripted, ScriptedChat, ScriptedReranker, ordered, said

START = datetime(2026, 11, 20, 10, tzinfo=UTC)
REQUEST = ChatRequest("claude-a", ("s" * 400,), (Message("user", "q" * 400),), 10)
PRICES = PriceTable(
    [
        Price(id=5, provider="anthropic", model="claude-a", effective_from=START, input_usd=Decimal(4)),
        Price(
            id=6,
            provider="cohere",
            model="rerank-a",
            effective_from=START,
            input_usd=Decimal(0),
            search_usd=Decimal(2),
        ),
    ]
)
USAGE = Usage(1_000, 0, 0, 0, 10)


def ticking() -> Callable[[], datetime]:
    """A clock that goes one second further each time it is read."""
    ticks = iter(range(1_000))
    return lambda: START + timedelta(seconds=next(ticks))


@pytest.fixture
def meter() -> Meter:
    return Meter(prices=PRICES, now=ticking())


@pytest.fixture
def chat() -> ScriptedChat:
    return ScriptedChat()


def metered(chat: ScriptedChat, meter: Meter) -> Metered:
    return Metered(chat, meter=meter, label=Label("anthropic", "generate", "live"))


def failure(kind: type[ProviderError], http_status: int | None = None) -> ProviderError:
    return kind("no", provider="anthropic", http_status=http_status)


def attempt_after(error: ProviderError, chat: ScriptedChat, meter: Meter) -> Attempt:
    chat.enqueue(error)
    with pytest.raises(type(error)):
        metered(chat, meter).send(REQUEST)
    return meter.attempts[0]


def test_a_success_is_recorded_as_it_was_billed(chat: ScriptedChat, meter: Meter) -> None:
    chat.enqueue(said("yes", usage=USAGE))

    reply = metered(chat, meter).send(REQUEST)

    attempt = meter.attempts[0]
    assert reply == said("yes", usage=USAGE)
    assert (attempt.provider, attempt.model, attempt.operation) == ("anthropic", "claude-a", "generate")
    assert (attempt.provider_mode, attempt.outcome, attempt.request_id) == ("live", "ok", "req_chat")
    assert (attempt.at, attempt.usage, attempt.estimated) == (START, USAGE, False)
    assert (attempt.cost_usd, attempt.price_id) == (Decimal("0.004"), 5)
    assert attempt.latency_ms >= 0


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (failure(ProviderBusy, 429), "provider_busy"),
        (failure(ProviderRefused, 401), "provider_refused"),
        (failure(ProviderUnavailable, 500), "provider_unavailable"),
        (failure(ProviderTimeout), "provider_timeout"),
        (failure(ProviderMalformed), "provider_malformed"),
    ],
)
def test_a_failure_is_recorded_under_its_name(
    chat: ScriptedChat, meter: Meter, error: ProviderError, outcome: str
) -> None:
    assert attempt_after(error, chat, meter).outcome == outcome


@pytest.mark.parametrize(
    "error", [failure(ProviderBusy, 429), failure(ProviderRefused, 401), failure(ProviderUnavailable, 503)]
)
def test_a_call_that_was_turned_away_costs_nothing(chat: ScriptedChat, meter: Meter, error: ProviderError) -> None:
    attempt = attempt_after(error, chat, meter)

    assert (attempt.usage, attempt.cost_usd, attempt.estimated) == (Usage(), Decimal(0), False)


@pytest.mark.parametrize(
    "error", [failure(ProviderTimeout), failure(ProviderTimeout, 504), failure(ProviderUnavailable)]
)
def test_a_call_that_was_cut_is_estimated_and_says_so(chat: ScriptedChat, meter: Meter, error: ProviderError) -> None:
    attempt = attempt_after(error, chat, meter)

    assert (attempt.usage, attempt.estimated) == (Usage(input_tokens=200), True)
    assert attempt.cost_usd == Decimal("0.0008")


def test_a_whole_answer_that_cannot_be_used_costs_what_it_says(chat: ScriptedChat, meter: Meter) -> None:
    error = ProviderMalformed("other vectors", provider="anthropic", usage=Usage(input_tokens=1_000))

    attempt = attempt_after(error, chat, meter)

    assert (attempt.usage, attempt.estimated) == (Usage(input_tokens=1_000), False)
    assert attempt.cost_usd == Decimal("0.004")


def test_an_answer_that_cannot_be_read_was_probably_billed(chat: ScriptedChat, meter: Meter) -> None:
    attempt = attempt_after(failure(ProviderMalformed), chat, meter)

    assert (attempt.usage, attempt.estimated) == (REQUEST.estimate(), True)


def test_a_cut_rerank_is_estimated_in_the_unit_that_it_is_billed_in(meter: Meter) -> None:
    reranker = ScriptedReranker()
    reranker.enqueue(ProviderTimeout("late", provider="cohere"))

    with pytest.raises(ProviderTimeout):
        Metered(reranker, meter=meter, label=Label("cohere", "rerank", "live")).send(
            RerankRequest("rerank-a", "q", ("d",) * 20, 5)
        )

    assert (meter.attempts[0].cost_usd, meter.attempts[0].estimated) == (Decimal("0.002"), True)


def test_every_retry_is_an_attempt_of_its_own(chat: ScriptedChat, meter: Meter) -> None:
    chat.enqueue(failure(ProviderBusy, 429), failure(ProviderTimeout), said("yes", usage=USAGE))
    patient = Retrying(metered(chat, meter), policy=RetryPolicy(attempts=3), sleep=lambda _: None)

    patient.send(REQUEST)

    assert [attempt.outcome for attempt in meter.attempts] == ["provider_busy", "provider_timeout", "ok"]
    assert [attempt.at for attempt in meter.attempts] == [START + timedelta(seconds=n) for n in range(3)]
    assert meter.total() == Decimal("0.0048")


def test_a_model_without_a_price_is_unpriced_and_never_free(chat: ScriptedChat, meter: Meter) -> None:
    chat.enqueue(said("yes", usage=USAGE))

    metered(chat, meter).send(ChatRequest("claude-z", (), (), 10))

    assert (meter.attempts[0].cost_usd, meter.attempts[0].price_id) == (None, None)
    assert meter.attempts[0].usage == USAGE


def test_one_unpriced_attempt_makes_the_total_unknown(chat: ScriptedChat, meter: Meter) -> None:
    chat.enqueue(said("yes", usage=USAGE), said("yes", usage=USAGE))

    metered(chat, meter).send(REQUEST)
    known = meter.total()
    metered(chat, meter).send(ChatRequest("claude-z", (), (), 10))

    assert (known, meter.total()) == (Decimal("0.004"), None)


def test_no_attempts_cost_nothing(meter: Meter) -> None:
    assert meter.total() == Decimal(0)


def test_the_price_in_force_when_the_call_began_counts(chat: ScriptedChat) -> None:
    meter = Meter(prices=PRICES, now=lambda: START - timedelta(seconds=1))
    chat.enqueue(said("yes", usage=USAGE))

    metered(chat, meter).send(REQUEST)

    assert meter.attempts[0].cost_usd is None


def test_search_units_are_priced_by_the_search(meter: Meter) -> None:
    reranker: Scripted[RerankRequest, RerankReply] = ScriptedReranker()
    reranker.enqueue(ordered((0, 0.9)))

    Metered(reranker, meter=meter, label=Label("cohere", "rerank", "live")).send(
        RerankRequest("rerank-a", "q", ("d",), 1)
    )

    assert meter.total() == Decimal("0.002")
