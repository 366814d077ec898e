"""The hours of a day in zones whose clocks do all that clocks do."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costs.windows import midnight
from rag.tallies import Hours

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Havana"]


@given(
    at=st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    zone=st.sampled_from(ZONES),
)
def test_an_hour_lies_in_one_day_and_holds_the_moment(at, zone) -> None:
    hour, day = Hours(ZoneInfo(zone)).of(at)

    assert day <= hour <= at < hour + timedelta(hours=1)
    local = day.astimezone(ZoneInfo(zone)).date()
    assert midnight(local, ZoneInfo(zone)) == day
    assert at < midnight(local + timedelta(days=1), ZoneInfo(zone))


@pytest.mark.parametrize(
    ("zone", "day", "lengths_h"),
    [
        ("Europe/Berlin", date(2026, 3, 29), [1.0] * 23),
        ("Europe/Berlin", date(2026, 10, 25), [1.0] * 25),
        ("Asia/Kathmandu", date(2026, 3, 29), [1.0] * 24),
        ("Australia/Lord_Howe", date(2026, 4, 5), [1.0] * 24 + [0.5]),
        ("Australia/Lord_Howe", date(2026, 10, 4), [1.0] * 23 + [0.5]),
    ],
)
def test_a_day_is_cut_into_hours_of_which_the_last_may_be_shorter(zone, day, lengths_h) -> None:
    hours, first, end = (
        Hours(ZoneInfo(zone)),
        midnight(day, ZoneInfo(zone)),
        midnight(day + timedelta(1), ZoneInfo(zone)),
    )
    quarters = [first + timedelta(minutes=15) * n for n in range(int((end - first) / timedelta(minutes=15)))]

    found = [hours.of(at)[0] for at in quarters]

    assert [found.count(hour) / 4 for hour in dict.fromkeys(found)] == lengths_h
    assert {hours.of(at)[1] for at in quarters} == {first}
