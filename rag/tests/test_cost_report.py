"""One truth: whatever the money is split by, the parts add up to the ledger."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.conf import LazySettings
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from costs.models import LedgerEntry
from costs.tests.factories import spend
from rag import clock
from rag.cost_report import TABLES, report
from rag.latencies import percentiles
from rag.models import TraceSummary
from rag.tests.factories import ApiKeyFactory, OutageFactory, TraceSummaryFactory

pytestmark = pytest.mark.django_db
FIRST = datetime(2026, 3, 15, tzinfo=UTC)
MONTH = timedelta(days=30)
AMOUNTS = st.one_of(
    st.none(), st.decimals(Decimal("-2"), Decimal("999"), places=8, allow_nan=False, allow_infinity=False)
)


def march(**choice):
    return report(FIRST, FIRST + MONTH, "simulated", **choice)


def exact(rows):
    return sum(round(Decimal(row["spend_usd"]), 8) for row in rows)


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "cost_usd": AMOUNTS,
            "at": st.datetimes(datetime(2026, 3, 14), datetime(2026, 4, 16), timezones=st.just(UTC)),  # noqa: DTZ001
            "trace_id": st.integers(0, 9).map(lambda n: f"trace-{n}"),
            "kind": st.sampled_from(["ask", "eval", "judge", "ingest", "traffic"]),
            "model": st.sampled_from(["claude-sonnet-4-6", "voyage-3.5", "rerank-v3.5"]),
            "module": st.sampled_from(["", "m1-baseline", "m6-production"]),
            "prompt_version": st.sampled_from(["", "v1", "v2"]),
            "api_key_id": st.sampled_from([None, 1, 2]),
            "provider_mode": st.sampled_from(["simulated", "simulated", "live"]),
        }
    ),
    max_size=25,
)


class EverySplit(TestCase):
    @hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
    @given(
        rows=ROWS,
        transforms=st.lists(st.sampled_from(["", "simple", "hyde", "multi_query", "decompose"]), max_size=8),
        zone=st.sampled_from(["Europe/Berlin", "America/New_York"]),
    )
    def test_adds_up_to_the_ledger(self, rows, transforms, zone):
        with self.settings(TIME_ZONE=zone):
            LedgerEntry.objects.bulk_create(entry(number, row) for number, row in enumerate(rows))
            for number, transform in enumerate(transforms):
                TraceSummaryFactory(trace_id=f"trace-{number}", transform=transform, timestamp=FIRST)
            booked = sum((row["cost_usd"] for row in rows if counts(row)), Decimal(0))

            told = march()

            assert {name: Decimal(told["sums"][name]) for name in (*TABLES, "ledger")} == dict.fromkeys(
                (*TABLES, "ledger"), booked
            )
            assert told["sums"]["equal"] is True
            assert all(math.isclose(exact(told[name]), booked, abs_tol=1e-8) for name in TABLES)


def entry(number, row):
    fields = {"attempt": number, "provider": "anthropic", "operation": "generate", "outcome": "ok", "latency_ms": 1.0}
    return LedgerEntry(**(fields | row))


def counts(row):
    in_span = FIRST <= row["at"] < FIRST + MONTH
    return row["cost_usd"] is not None and row["provider_mode"] == "simulated" and in_span


def test_a_day_is_one_of_the_time_zone_whatever_its_clocks_do(settings: LazySettings) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    berlin = ZoneInfo("Europe/Berlin")
    for hour in range(23):  # 29 March 2026 has 23 hours there
        spend("0.01", at=datetime(2026, 3, 28, 23, 30, tzinfo=UTC) + timedelta(hours=hour))
    spend("5", at=datetime(2026, 3, 29, 22, tzinfo=UTC))

    told = report(datetime(2026, 3, 28, tzinfo=berlin), datetime(2026, 3, 31, tzinfo=berlin), provider_mode="simulated")

    days = {day["date"]: day["spend_usd"] for day in told["daily"]}
    assert days == {"2026-03-28": 0.0, "2026-03-29": 0.23, "2026-03-30": 5.0}


def test_an_empty_day_is_zero_and_today_is_partial() -> None:
    now = clock.now()
    spend("0.5", at=now - timedelta(days=2))
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)

    days = report(midnight - timedelta(days=2), midnight + timedelta(days=1), "simulated")["daily"]

    assert [day["spend_usd"] for day in days] == [0.5, 0.0, 0.0]
    assert [day["partial"] for day in days] == [False, False, True]
    assert days[1]["cost_per_query_usd"] is None


def test_a_question_has_the_query_type_of_its_trace_and_an_ingest_has_none() -> None:
    TraceSummaryFactory(trace_id="asked", transform="hyde", timestamp=FIRST)
    spend("0.25", at=FIRST, trace_id="asked")
    spend("0.50", at=FIRST, trace_id="ingest-1", kind="ingest")

    told = march()

    assert told["by_query_type"] == [
        {"query_type": "none", "spend_usd": 0.5, "questions": 0},
        {"query_type": "hyde", "spend_usd": 0.25, "questions": 1},
    ]
    assert told["totals"]["spend_usd"] == 0.75
    assert told["totals"]["cost_per_query_usd"] == 0.25


def test_an_adjustment_goes_with_the_kind_of_what_it_adjusts() -> None:
    asked = spend("0.25", at=FIRST)
    spend("-0.05", at=FIRST, trace_id=asked.trace_id, kind="adjustment", adjusts=asked, correction=1)
    spend("9", at=FIRST, kind="ingest")

    told = march(kinds=("ask",))

    assert told["totals"]["spend_usd"] == 0.2
    assert told["sums"]["equal"] is True


def test_module_and_corpus_narrow_everything() -> None:
    for module, corpus in (("m1-baseline", "django"), ("m6-production", "django"), ("m6-production", "handbook")):
        trace = TraceSummaryFactory(module=module, corpus=corpus, timestamp=FIRST)
        spend("1", at=FIRST, module=module, corpus=corpus, trace_id=trace.trace_id)

    told = march(module="m6-production", corpus="handbook")

    assert (told["totals"]["spend_usd"], told["totals"]["questions"]) == (1.0, 1)
    assert [row["module"] for row in told["by_module"]] == ["m6-production"]


def test_keys_are_named_and_cached_answers_count_as_questions_that_cost_nothing() -> None:
    key = ApiKeyFactory.create(name="intranet")
    spend("1", at=FIRST, api_key_id=key.pk)
    TraceSummaryFactory(api_key_id=key.pk, timestamp=FIRST, answer_cache="hit", cost_usd=0, avoided_usd=Decimal("0.30"))
    TraceSummaryFactory(api_key_id=key.pk, timestamp=FIRST, answer_cache="miss", tokens_in=10, cache_read=5)

    told = march()

    assert told["by_key"] == [{"api_key_id": key.pk, "name": "intranet", "spend_usd": 1.0, "questions": 2}]
    assert told["cache"] == {"prompt_hit_rate": 1.0, "answer_hit_rate": 0.5}
    assert told["totals"]["avoided_usd"] == 0.3


def test_hits_degraded_and_full_answers_have_percentiles_of_their_own() -> None:
    TraceSummaryFactory(timestamp=FIRST, total_ms=5, answer_cache="hit")
    TraceSummaryFactory(timestamp=FIRST, total_ms=9000, degraded=["rerank_skipped"])
    for ms in range(1, 101):
        TraceSummaryFactory(timestamp=FIRST, total_ms=ms, generate_ms=ms / 2)

    told = march()

    found = {
        (row["answers"], row["stage"]): (row["p50"], row["p95"], row["p99"]) for row in told["latency_ms"]["by_stage"]
    }
    assert found["full", "total"] == (50, 95, 99)
    assert found["full", "generate"] == (25, 47.5, 49.5)
    assert found["hit", "total"] == (5, 5, 5)
    assert found["degraded", "total"] == (9000, 9000, 9000)
    assert (told["latency_ms"]["p50"], told["latency_ms"]["count"]) == (50, 102)
    assert told["degraded"] == [{"degraded": "rerank_skipped", "answers": 1}]


@given(values=st.lists(st.floats(0, 1e6), min_size=1))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values) -> None:
    for percent, name in ((50, "p50"), (95, "p95"), (99, "p99")):
        reached = [v for v in sorted(values) if sum(w <= v for w in values) * 100 >= percent * len(values)]

        assert percentiles(values)[name] == round(reached[0], 3)


def test_unpriced_calls_are_counted_and_in_no_sum() -> None:
    spend(None, at=FIRST)

    assert (march()["totals"]["unpriced"], march()["totals"]["spend_usd"]) == (1, 0.0)


def test_outages_that_touch_the_span_and_the_budget_of_today_are_told() -> None:
    OutageFactory(provider="cohere", started_at=FIRST - timedelta(hours=1), ended_at=FIRST + timedelta(hours=1))
    OutageFactory(provider="voyage", started_at=FIRST - timedelta(hours=2), ended_at=FIRST - timedelta(hours=1))

    told = march()

    assert [outage["provider"] for outage in told["outages"]] == ["cohere"]
    assert told["budget"]["limit_usd"] == 5.0


def test_without_rows_everything_is_zero_and_nothing_is_divided() -> None:
    told = march()

    assert told["totals"]["spend_usd"] == 0.0
    assert told["totals"]["cost_per_query_usd"] is None
    assert (told["latency_ms"]["p50"], told["latency_ms"]["count"]) == (None, 0)
    assert len(told["daily"]) == 30
    assert not TraceSummary.objects.exists()
