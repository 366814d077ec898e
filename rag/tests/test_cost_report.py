"""One truth: whatever the money is split by, the parts add up to the ledger."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
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
from rag import clock, rollups
from rag.cost_report import SPLITS, TABLES, report
from rag.made_up_costs import make_up
from rag.models import TraceSummary
from rag.tests.factories import ApiKeyFactory, OutageFactory, TraceSummaryFactory

pytestmark = pytest.mark.django_db
FIRST = datetime(2026, 3, 15, 12, tzinfo=UTC)
DAYS = (date(2026, 3, 15), date(2026, 4, 13))
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]
"""Berlin's and Lord Howe's clocks change within those days, the latter by half an hour; Kathmandu's are off by 5:45."""
AMOUNTS = st.one_of(
    st.none(), st.decimals(Decimal("-2"), Decimal("999"), places=8, allow_nan=False, allow_infinity=False)
)


def march(**choice):
    return report(*DAYS, "simulated", **choice)


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
    """Of rows of which some are rolled up, and some came in since; every seventh is corrected later."""

    @hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    @given(
        rows=ROWS,
        rolled_up=st.integers(0, 25),
        transforms=st.lists(st.sampled_from(["", "simple", "hyde", "multi_query", "decompose"]), max_size=8),
        zone=st.sampled_from(ZONES),
    )
    def test_adds_up_to_the_ledger(self, rows, rolled_up, transforms, zone):
        with self.settings(TIME_ZONE=zone):
            for number, transform in enumerate(transforms):
                TraceSummaryFactory(trace_id=f"trace-{number}", transform=transform, timestamp=FIRST)
            LedgerEntry.objects.bulk_create(entry(number, row) for number, row in enumerate(rows[:rolled_up]))
            rollups.roll_up(clock.now())
            LedgerEntry.objects.bulk_create(
                entry(number, row) for number, row in enumerate(rows[rolled_up:], rolled_up)
            )
            LedgerEntry.objects.bulk_create(
                [corrected(each) for each in LedgerEntry.objects.filter(attempt__in=[0, 7, 14, 21])]
            )

            told = march()

            by_split, by_day = counted(zone)
            booked = sum(by_day.values(), Decimal(0))
            assert {name: Decimal(told["sums"][name]) for name in (*TABLES, "ledger")} == dict.fromkeys(
                (*TABLES, "ledger"), booked
            )
            assert told["sums"]["equal"] is True
            assert {day["date"]: units(day) for day in told["daily"] if day["spend_usd"]} == by_day
            for name, column in SPLITS.items():
                assert {row[column]: units(row) for row in told[name] if row["spend_usd"]} == by_split[name], name


def entry(number, row):
    fields = {"attempt": number, "provider": "anthropic", "operation": "generate", "outcome": "ok", "latency_ms": 1.0}
    return LedgerEntry(**(fields | row))


def corrected(of):
    fields = ("at", "trace_id", "attempt", "provider", "model", "operation", "provider_mode", "outcome", "module")
    copied = {name: getattr(of, name) for name in (*fields, "prompt_version", "api_key_id", "latency_ms")}
    amount = {"cost_usd": Decimal("-0.12345678"), "correction": 1, "adjusts": of, "kind": "adjustment"}
    return LedgerEntry(**copied, **amount)


def units(row):
    return round(Decimal(row["spend_usd"]), 8)


def counted(zone):
    """What the rows say, one by one: USD by each split's values, and by day; what adds up to nothing is left out."""
    types = dict(TraceSummary.objects.values_list("trace_id", "transform"))
    by_split: dict[str, dict[object, Decimal]] = {name: defaultdict(Decimal) for name in SPLITS}
    by_day: dict[object, Decimal] = defaultdict(Decimal)
    for row in LedgerEntry.objects.filter(provider_mode="simulated", cost_usd__isnull=False):
        day = row.at.astimezone(ZoneInfo(zone)).date()
        if not DAYS[0] <= day <= DAYS[1]:
            continue
        by_day[day.isoformat()] += row.cost_usd or 0
        for name, column in SPLITS.items():
            value = types.get(row.trace_id, "") if column == "query_type" else getattr(row, column)
            by_split[name]["none" if value in ("", None) else value] += row.cost_usd or 0
    return {name: nonzero(found) for name, found in by_split.items()}, nonzero(by_day)


def nonzero(found):
    return {name: usd for name, usd in found.items() if usd}


@pytest.mark.parametrize("zone", ZONES)
def test_thirty_generated_days_add_up_in_every_split(zone: str, settings: LazySettings) -> None:
    settings.TIME_ZONE = zone
    make_up(traces=600, days=30, seed=4, until=datetime(2026, 4, 13, 20, tzinfo=UTC))
    rollups.roll_up(clock.now())

    told = march()

    by_split, by_day = counted(zone)
    assert {day["date"]: units(day) for day in told["daily"] if day["spend_usd"]} == by_day
    for name, column in SPLITS.items():
        assert {row[column]: units(row) for row in told[name] if row["spend_usd"]} == by_split[name], name
    assert told["sums"]["equal"] is True
    assert Decimal(told["sums"]["ledger"]) == sum(by_day.values()) > 1


def test_a_day_is_one_of_the_time_zone_whatever_its_clocks_do(settings: LazySettings) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    for hour in range(23):  # 29 March 2026 has 23 hours there
        spend("0.01", at=datetime(2026, 3, 28, 23, 30, tzinfo=UTC) + timedelta(hours=hour))
    spend("5", at=datetime(2026, 3, 29, 22, tzinfo=UTC))

    told = report(date(2026, 3, 28), date(2026, 3, 30), provider_mode="simulated")

    days = {day["date"]: day["spend_usd"] for day in told["daily"]}
    assert days == {"2026-03-28": 0.0, "2026-03-29": 0.23, "2026-03-30": 5.0}


def test_an_empty_day_is_zero_and_today_is_partial() -> None:
    now = clock.now()
    spend("0.5", at=now - timedelta(days=2))

    days = report(now.date() - timedelta(days=2), now.date(), "simulated")["daily"]

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
    assert found["full", "total"] == within_one_per_cent((50, 95, 99))
    assert found["full", "generate"] == within_one_per_cent((25, 47.5, 49.5))
    assert found["hit", "total"] == within_one_per_cent((5, 5, 5))
    assert found["degraded", "total"] == within_one_per_cent((9000, 9000, 9000))
    assert told["latency_ms"]["p50"] == within_one_per_cent(50)
    assert told["latency_ms"]["count"] == 102
    assert told["latency_ms"]["precision"].startswith("within 1 %")
    daily = {row["answers"]: (row["date"], row["count"], row["p50"]) for row in told["latency_daily"]}
    assert daily["full"] == ("2026-03-15", 100, within_one_per_cent(50))
    assert daily["hit"] == ("2026-03-15", 1, within_one_per_cent(5))
    assert told["degraded"] == [{"degraded": "rerank_skipped", "answers": 1}]


def within_one_per_cent(values):
    return pytest.approx(values, rel=0.01)


def test_days_are_split_by_prompt_version_and_by_how_answers_were_degraded() -> None:
    later = FIRST + timedelta(days=1)
    for version, at in (("v1", FIRST), ("v1", FIRST), ("v2", FIRST), ("v2", later)):
        trace = TraceSummaryFactory(prompt_version=version, timestamp=at)
        spend("0.5", at=at, prompt_version=version, trace_id=trace.trace_id)
    TraceSummaryFactory(timestamp=later, degraded=["rerank_skipped", "generation_timeout"])
    TraceSummaryFactory(timestamp=later, status=402, error="budget_exceeded", answered=None)

    told = march()

    assert [
        (row["date"], row["prompt_version"], row["questions"], row["spend_usd"]) for row in told["prompt_versions"]
    ] == [
        ("2026-03-15", "v1", 2, 1.0),
        ("2026-03-15", "v2", 1, 0.5),
        ("2026-03-16", "v2", 1, 0.5),
    ]
    assert told["degraded_daily"] == [
        {"date": "2026-03-16", "degraded": "generation_timeout", "answers": 1},
        {"date": "2026-03-16", "degraded": "rerank_skipped", "answers": 1},
    ]
    assert told["by_status"] == [{"status": "200", "questions": 5}, {"status": "402", "questions": 1}]


def test_what_the_caches_saved_is_told_for_each_day() -> None:
    asked = {"timestamp": FIRST, "answer_cache": "miss", "tokens_in": 10, "cache_read": 5}
    trace = TraceSummaryFactory(**asked, prompt_saved_usd=Decimal("0.10"))
    spend("0.20", at=FIRST, trace_id=trace.trace_id)
    TraceSummaryFactory(timestamp=FIRST, answer_cache="hit", avoided_usd=Decimal("0.30"), cost_usd=0)

    day = march()["daily"][0]

    assert (day["spend_usd"], day["avoided_usd"], day["prompt_saved_usd"]) == (0.2, 0.3, 0.1)
    assert (day["cost_per_query_usd"], day["uncached_per_query_usd"]) == (0.1, 0.3)
    assert (day["prompt_hit_rate"], day["answer_hit_rate"]) == (1.0, 0.5)


def test_a_day_is_told_by_the_hour_as_well(settings: LazySettings) -> None:
    settings.TIME_ZONE = "Australia/Lord_Howe"
    for hours in (0, 1, 24):  # 5 April 2026 has 24.5 hours there
        spend("1", at=datetime(2026, 4, 4, 13, tzinfo=UTC) + timedelta(hours=hours, minutes=5))

    told = report(date(2026, 4, 5), date(2026, 4, 5), "simulated")

    assert [row["spend_usd"] for row in told["hourly"]] == [1.0, 1.0, *[0.0] * 22, 1.0]
    assert told["hourly"][-1]["hour"] == "2026-04-05T23:30:00+10:30"
    assert told["daily"][0]["spend_usd"] == 3.0


def test_unpriced_calls_are_counted_and_in_no_sum() -> None:
    spend(None, at=FIRST)

    assert (march()["totals"]["unpriced"], march()["totals"]["spend_usd"]) == (1, 0.0)


def test_outages_that_touch_the_span_and_the_budget_of_today_are_told() -> None:
    midnight = FIRST - timedelta(hours=12)
    OutageFactory(provider="cohere", started_at=midnight - timedelta(hours=1), ended_at=midnight + timedelta(hours=1))
    OutageFactory(provider="voyage", started_at=midnight - timedelta(hours=2), ended_at=midnight - timedelta(hours=1))

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
