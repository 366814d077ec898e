"""How the versions of a prompt did, against the rows themselves."""

import math
import random
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from costs.ledger import adjustment_of
from costs.models import LedgerEntry
from rag import clock
from rag.models import TraceSummary
from rag.prompt_figures import Calls, calls_by_version, figures_by_version, modes_of, traffic
from rag.tests.factories import TraceSummaryFactory
from rag.trace import new_trace_id

pytestmark = pytest.mark.django_db


def figures(since=None):
    return figures_by_version(since=since, provider_mode="simulated")


def book_calls(prompt, latencies, *, kind="ask", mode="simulated", outcome="ok", cost_usd=None):
    """A ledger entry for each latency."""
    for ms in latencies:
        LedgerEntry.objects.create(
            at=clock.now(),
            trace_id=new_trace_id(),
            attempt=0,
            kind=kind,
            provider="anthropic",
            model="claude-haiku-4-5",
            operation="transform",
            provider_mode=mode,
            outcome=outcome,
            cost_usd=cost_usd,
            latency_ms=ms,
            prompt=prompt,
        )


def nearest_rank(values, percent):
    """The slow obvious answer."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


@pytest.mark.parametrize("size", [1, 2, 19, 20, 21, 57])
def test_percentiles_are_the_nearest_rank_of_each_version(size):
    shuffled = random.Random(size)
    times = defaultdict(list)
    for version in ("v1", "v2"):
        for _ in range(size):
            total_ms = float(shuffled.randrange(1, 30))
            times[version].append(total_ms)
            TraceSummaryFactory.create(prompt_version=version, tokens_in=9, total_ms=total_ms)

    found = figures()

    for version, values in times.items():
        assert found[version].p50_ms == nearest_rank(values, 50)
        assert found[version].p95_ms == nearest_rank(values, 95)


def test_counts_rates_and_money_are_those_of_the_rows():
    rows: list[dict[str, Any]] = [
        {"answered": True, "answer_cache": "miss", "tokens_in": 50, "cache_read": 40, "cost_usd": "0.003"},
        {"answered": True, "answer_cache": "hit", "cost_usd": "0"},
        {"answered": False, "answer_cache": "miss", "tokens_in": 50, "cost_usd": "0.005"},
        {"answered": None, "status": 503, "answer_cache": "miss", "tokens_in": 0, "cost_usd": "0.001"},
        {"answered": True, "answer_cache": "bypass", "tokens_in": 50, "cost_usd": None},
    ]
    for row in rows:
        TraceSummaryFactory.create(prompt_version="v3", **row)

    (version, found), *others = figures().items()

    assert (version, others) == ("v3", [])
    assert (found.questions, found.failed, found.unpriced) == (5, 1, 1)
    assert found.cost_usd == Decimal("0.009")
    assert found.cost_per_query_usd == Decimal("0.00225")
    assert found.answered_rate == 3 / 4
    assert found.answer_cache_rate == 1 / 4
    assert found.prompt_cache_rate == 1 / 3


def test_answers_from_the_cache_and_failures_have_no_part_in_the_latency():
    TraceSummaryFactory.create(prompt_version="v1", tokens_in=9, total_ms=700)
    TraceSummaryFactory.create(prompt_version="v1", tokens_in=0, total_ms=3, answer_cache="hit")
    TraceSummaryFactory.create(prompt_version="v1", tokens_in=9, total_ms=15_000, status=503, answered=None)

    assert (figures()["v1"].p50_ms, figures()["v1"].p95_ms) == (700, 700)


def test_what_is_not_known_is_none():
    TraceSummaryFactory.create(prompt_version="v1", answered=None, status=503, answer_cache="off", cost_usd=None)

    found = figures()["v1"]

    assert (found.cost_per_query_usd, found.p50_ms, found.p95_ms) == (None, None, None)
    assert (found.answered_rate, found.answer_cache_rate, found.prompt_cache_rate) == (None, None, None)


@pytest.mark.parametrize("other", [{"kind": "eval"}, {"kind": "try"}, {"kind": "preview"}, {"prompt_version": ""}])
def test_only_traffic_counts(other):
    TraceSummaryFactory.create(**({"prompt_version": "v1"} | other))

    assert figures() == {}
    assert modes_of(traffic(None)) == ()


def test_the_span_and_the_money_are_those_asked_for():
    now = clock.now()
    TraceSummaryFactory.create(prompt_version="v1", timestamp=now - timedelta(days=2))
    TraceSummaryFactory.create(prompt_version="v1", timestamp=now, provider_mode="live")

    assert figures()["v1"].questions == 1
    assert figures(since=now - timedelta(days=1)) == {}
    assert modes_of(traffic(None)) == ("live", "simulated")
    assert modes_of(traffic(now - timedelta(days=1))) == ("live",)


def test_it_takes_two_queries_whatever_there_is(django_assert_num_queries):
    for number in range(30):
        TraceSummaryFactory.create(prompt_version=f"v{number % 6}", tokens_in=9, total_ms=float(number))
    assert TraceSummary.objects.count() == 30

    with django_assert_num_queries(2):
        assert len(figures()) == 6


def test_calls_are_counted_by_the_version_that_they_sent():
    book_calls("hyde v1", [100.0, 200.0, 900.0], cost_usd="0.0002")
    book_calls("hyde v1", [5_000.0], outcome="provider_busy", cost_usd="0")
    book_calls("hyde v10", [50.0])

    found = calls_by_version("hyde", since=None, provider_mode="simulated")

    assert found == {
        "v1": Calls(4, Decimal("0.0006"), 0, 1, 200.0, 900.0),
        "v10": Calls(1, Decimal(0), 1, 0, 50.0, 50.0),
    }
    assert (found["v1"].cost_per_call_usd, found["v10"].cost_per_call_usd) == (Decimal("0.00015"), None)


def test_calls_of_other_prompts_and_kinds_and_money_do_not_count():
    book_calls("hyde v1", [1.0], mode="live")
    book_calls("hyde v1", [1.0], kind="try")
    book_calls("choose v1", [1.0])
    book_calls("judge v1", [1.0])
    book_calls("judge v1", [7.0], kind="judge")

    assert calls_by_version("hyde", since=None, provider_mode="simulated") == {}
    assert calls_by_version("judge", since=None, provider_mode="simulated")["v1"].p50_ms == 7.0
    assert calls_by_version("choose", since=clock.now() + timedelta(hours=1), provider_mode="simulated") == {}


def test_an_adjustment_counts_in_the_cost_and_is_no_call():
    book_calls("hyde v1", [100.0], cost_usd="0.0002")
    book_calls("hyde v1", [900.0], outcome="provider_timeout")
    for entry, usd in zip(LedgerEntry.objects.order_by("pk"), ("-0.00005", "0.0003"), strict=True):
        adjustment_of(entry, number=1, usd=Decimal(usd), price_id=None, reason="a bill").save()

    found = calls_by_version("hyde", since=None, provider_mode="simulated")

    assert found == {"v1": Calls(2, Decimal("0.00045"), 0, 1, 100.0, 100.0)}
