"""Roll-ups: whatever is in them and whatever is not yet, a report says what the rows say."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from pytest_django.fixtures import Settings

from costs.models import LedgerEntry
from costs.recosting import recost
from costs.tests.factories import spend
from rag import clock, rollups
from rag.cost_report import report
from rag.made_up_costs import AlreadyThere, make_up
from rag.models import LatencyRollup, Rollup, RollupState, TraceSummary
from rag.tasks import keep_rollups
from rag.tests.factories import TraceSummaryFactory
from rag.trace_forgetting import Whom, forget

pytestmark = pytest.mark.django_db
NOT_COMPARED = ("rolled_up_at", "checked_at")


def told(days=10, **choice):
    today = clock.now().date()
    found = report(today - timedelta(days=days - 1), today, "simulated", **choice)
    found["sums"] = {name: value for name, value in found["sums"].items() if name not in NOT_COMPARED}
    found["budget"] = found["budget"] and found["budget"]["spent_usd"]
    return found


def from_rows(**choice):
    """The same, with nothing rolled up."""
    with transaction.atomic():
        rollups.forget()
        found = told(**choice)
        transaction.set_rollback(True)
    return found


@pytest.fixture
def traffic(db: None) -> None:
    make_up(traces=400, days=5, seed=7, until=clock.now())


CHOICES = [
    {},
    {"module": "m6-production"},
    {"corpus": "django"},
    {"kinds": ("ask",)},
    {"kinds": ("ingest",)},
    {"days": 1},
]


@pytest.mark.parametrize("choice", CHOICES)
def test_a_report_is_the_same_with_and_without_them(traffic: None, choice) -> None:
    rollups.roll_up(clock.now())

    found = told(**choice)

    assert found == from_rows(**choice)
    assert found["sums"]["equal"] is True


def test_what_is_rolled_up_is_not_read_again(traffic: None, django_assert_num_queries) -> None:
    rollups.roll_up(clock.now())
    state = rollups.current()

    assert (state.entries, state.traces) == (LedgerEntry.objects.count(), TraceSummary.objects.count())
    assert not LedgerEntry.objects.filter(pk__gt=state.last_entry).exists()
    assert rollups.roll_up(clock.now()) == 0


def test_what_comes_late_counts_at_its_time_at_once_and_when_it_is_rolled_up(traffic: None) -> None:
    rollups.roll_up(clock.now())
    before, at = told(), clock.now() - timedelta(days=3)

    trace = TraceSummaryFactory.create(timestamp=at, transform="hyde", total_ms=77, module="m3-hybrid")
    spend("123.00000001", at=at, trace_id=trace.trace_id, module="m3-hybrid")
    late = told()
    rollups.roll_up(clock.now())

    assert told() == late == from_rows()
    assert Decimal(late["sums"]["by_query_type"]) - Decimal(before["sums"]["ledger"]) == Decimal("123.00000001")
    day = next(row for row in late["daily"] if row["date"] == at.date().isoformat())
    assert day["spend_usd"] > 123


def test_corrections_of_what_is_rolled_up_are_in_every_split(traffic: None) -> None:
    spend(None, at=clock.now() - timedelta(days=2), model="claude-sonnet-4-6", input_tokens=1_000_000)
    rollups.roll_up(clock.now())
    assert told()["totals"]["unpriced"] == 1

    recost(since=clock.now() - timedelta(days=9), until=clock.now(), dry_run=False)
    corrected = told()
    rollups.roll_up(clock.now())

    assert corrected["totals"]["unpriced"] == 0
    assert corrected["sums"]["equal"] is True
    assert told() == corrected == from_rows()


def test_what_was_forgotten_still_cost_what_it_cost(traffic: None) -> None:
    rollups.roll_up(clock.now())
    before = told()

    forget(whom=Whom(api_key_id=TraceSummary.objects.exclude(api_key_id=None).values_list("api_key_id", flat=True)[0]))

    assert TraceSummary.objects.filter(query="").exists()
    assert told() == before == from_rows()
    assert rollups.check(clock.now())


def test_deleted_traces_are_found_within_the_hour_and_all_is_made_anew(traffic: None) -> None:
    rollups.keep(clock.now())
    TraceSummary.objects.filter(pk__in=TraceSummary.objects.values("pk")[:9]).delete()

    rollups.keep(clock.now())
    assert RollupState.objects.get().traces == TraceSummary.objects.count() + 9
    rollups.keep(clock.now() + rollups.CHECK_EVERY)

    assert RollupState.objects.get().traces == TraceSummary.objects.count()
    assert told() == from_rows()


def test_days_are_those_of_the_zone_also_after_it_was_changed(traffic: None, settings: Settings) -> None:
    settings.TIME_ZONE = "Asia/Kathmandu"
    rollups.roll_up(clock.now())
    assert told() == from_rows()

    settings.TIME_ZONE = "Europe/Berlin"
    unrolled = told()
    rollups.roll_up(clock.now())

    assert told() == unrolled == from_rows()
    assert RollupState.objects.get().zone == "Europe/Berlin"


def test_a_tally_that_somebody_else_took_in_meanwhile_is_dropped(traffic: None) -> None:
    state, heads = rollups.current(), rollups.heads()
    rollups.roll_up(clock.now())

    assert rollups.take_in(state, heads, clock.now()) is False
    assert told() == from_rows()


def test_many_small_steps_make_the_same_as_one(traffic: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "AT_ONCE", 37)

    assert rollups.roll_up(clock.now()) > 10
    assert told() == from_rows()
    assert rollups.check(clock.now())


def test_the_check_finds_a_figure_that_is_not_the_rows(traffic: None) -> None:
    rollups.roll_up(clock.now())
    assert rollups.check(clock.now())

    Rollup.objects.filter(span="day", split="total").update(units=1)

    assert not rollups.check(clock.now())


def test_beat_keeps_them(traffic: None, settings: Settings) -> None:
    assert "rag.tasks.keep_rollups" in {each["task"] for each in settings.CELERY_BEAT_SCHEDULE.values()}

    keep_rollups()

    assert rollups.current().checked_at is not None
    assert {row.span for row in Rollup.objects.all()} == {"hour", "day"}
    assert LatencyRollup.objects.filter(span="hour", way="full", stage="generate").exists()


def test_one_command_makes_them_anew(traffic: None, capsys: pytest.CaptureFixture[str]) -> None:
    rollups.roll_up(clock.now())
    Rollup.objects.update(units=0)

    call_command("costs", "rebuild")

    assert "400 traces are rolled up" in capsys.readouterr().out
    assert told() == from_rows()


@contextmanager
def writer_in_the_middle() -> Iterator[None]:
    """A transaction elsewhere that has booked an entry and does not commit before the end."""
    booked, go_on = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            spend("1", at=clock.now())
            booked.set()
            go_on.wait(30)
        connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    booked.wait(30)
    try:
        yield
    finally:
        go_on.set()
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_what_commits_after_rows_with_higher_ids_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "TRIES", 3)

    with writer_in_the_middle():
        if connection.vendor == "postgresql":  # SQLite has one writer at a time
            spend("2", at=clock.now())
            assert rollups.settled() is None
    rollups.roll_up(clock.now())

    assert rollups.current().entries == LedgerEntry.objects.count() >= 1
    assert rollups.check(clock.now())


def test_the_same_seed_makes_the_same_rows() -> None:
    until = datetime(2026, 11, 20, 12, tzinfo=clock.now().tzinfo)
    with transaction.atomic():
        make_up(traces=50, days=3, seed=5, until=until)
        first = list(TraceSummary.objects.order_by("pk").values_list("trace_id", "timestamp", "cost_usd", "total_ms"))
        transaction.set_rollback(True)

    make_up(traces=50, days=3, seed=5, until=until)

    assert (
        list(TraceSummary.objects.order_by("pk").values_list("trace_id", "timestamp", "cost_usd", "total_ms")) == first
    )
    assert set(LedgerEntry.objects.values_list("provider_mode", flat=True)) == {"simulated"}
    assert all(date(2026, 11, 17) <= at.date() <= date(2026, 11, 20) for _, at, *_ in first)
    with pytest.raises(AlreadyThere):
        make_up(traces=1, days=1, seed=5, until=until)


def test_made_up_rows_do_not_get_among_real_ones_by_accident(settings: Settings) -> None:
    settings.DEBUG = False

    with pytest.raises(CommandError, match="among-real"):
        call_command("costs", "generate", "--traces", "5")

    assert not TraceSummary.objects.exists()


@pytest.mark.parametrize("given", [("--traces", "0"), ("--days", "0")])
def test_nothing_is_not_generated(given, settings: Settings) -> None:
    settings.DEBUG = True

    with pytest.raises(CommandError, match="at least 1"):
        call_command("costs", "generate", *given)


def test_a_seed_is_used_once(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.DEBUG = True
    call_command("costs", "generate", "--traces", "5", "--days", "2")
    assert "5 traces" in capsys.readouterr().out

    with pytest.raises(CommandError, match="seed 1"):
        call_command("costs", "generate", "--traces", "5")
