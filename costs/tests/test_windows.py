"""Days and months in a zone whose clocks change, and what they promise to cost."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costs.windows import forecast, midnight, window_of

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/New_York", "Asia/Beirut", "Australia/Lord_Howe")]


def hours(window):
    return (window.ends_at - window.starts_at) / timedelta(hours=1)


@pytest.mark.parametrize(("month", "day", "length"), [(3, 29, 23), (10, 25, 25), (11, 20, 24)])
def test_a_day_is_as_long_as_the_clocks_make_it(month, day, length):
    window = window_of(period="day", now=datetime(2026, month, day, 12, tzinfo=BERLIN), zone=BERLIN)

    assert hours(window) == length
    assert window.starts_at.astimezone(BERLIN).hour == window.ends_at.astimezone(BERLIN).hour == 0


def test_a_month_with_a_change_of_clocks_begins_and_ends_at_midnight():
    window = window_of(period="month", now=datetime(2026, 3, 15, tzinfo=UTC), zone=BERLIN)

    assert window.starts_at == datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert window.ends_at == datetime(2026, 3, 31, 22, tzinfo=UTC)


def test_a_midnight_that_the_clocks_skip_is_the_moment_of_skipping():
    beirut = ZoneInfo("Asia/Beirut")  # 2026-03-29: 00:00 becomes 01:00

    assert midnight(date(2026, 3, 29), beirut) == datetime(2026, 3, 28, 22, tzinfo=UTC)
    assert midnight(date(2026, 3, 29), beirut).astimezone(beirut).hour == 1


@given(
    now=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    zone=st.sampled_from(ZONES),
    period=st.sampled_from(["day", "month"]),
)
def test_windows_cover_all_time_without_a_gap(now, zone, period):
    window = window_of(period=period, now=now, zone=zone)
    following = window_of(period=period, now=window.ends_at, zone=zone)
    last = window_of(period=period, now=window.ends_at - timedelta(microseconds=1), zone=zone)

    assert window.starts_at <= now < window.ends_at
    assert following.starts_at == window.ends_at
    assert last == window


def test_a_forecast_goes_on_as_it_has_gone():
    window = window_of(period="day", now=datetime(2026, 11, 20, 6, tzinfo=UTC), zone=UTC)

    told = forecast(spent=Decimal("1.25"), window=window, now=datetime(2026, 11, 20, 6, tzinfo=UTC))

    assert told.usd == Decimal("5.00")
    assert "25%" in told.note


def test_a_forecast_of_a_day_with_25_hours_knows_its_length():
    now = datetime(2026, 10, 25, 12, 30, tzinfo=UTC)  # 13:30, of 25 hours the 14.5th
    window = window_of(period="day", now=now, zone=BERLIN)

    assert forecast(spent=Decimal("1.45"), window=window, now=now).usd == Decimal("2.50")


def test_there_is_no_forecast_when_the_window_has_just_begun():
    window = window_of(period="day", now=datetime(2026, 11, 20, 0, 30, tzinfo=UTC), zone=UTC)

    told = forecast(spent=Decimal(1), window=window, now=datetime(2026, 11, 20, 0, 30, tzinfo=UTC))

    assert told.usd is None
    assert "too early" in told.note
