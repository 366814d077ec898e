"""Days and months as money counts them: in one time zone, whatever the clocks there do. Plain Python: no Django, no clock."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal

TOO_EARLY = 0.05
"""below this share of a window nothing can be said about the whole of it"""
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Window:
    """From midnight to midnight in the zone; both ends in UTC, the second one not included."""

    starts_at: datetime
    ends_at: datetime

    def share(self, now: datetime) -> float:
        """How much of it is over, from 0 to 1. A day may have 23 or 25 hours."""
        return min(1.0, max(0.0, (now - self.starts_at) / (self.ends_at - self.starts_at)))


@dataclass(frozen=True, slots=True)
class Forecast:
    """`usd` None: too early to tell; `note` says so, or how the figure came about."""

    usd: Decimal | None
    note: str


def window_of(*, period: str, now: datetime, zone: tzinfo) -> Window:
    """The `day` or `month` that `now` falls into."""
    today = now.astimezone(zone).date()
    if period == "day":
        return Window(midnight(today, zone), midnight(today + timedelta(days=1), zone))
    first = today.replace(day=1)
    return Window(midnight(first, zone), midnight((first + timedelta(days=32)).replace(day=1), zone))


def midnight(day: date, zone: tzinfo) -> datetime:
    """The moment at which a day begins, in UTC. A midnight that clocks skip is when they skip it; of two the first counts."""
    return datetime.combine(day, time(0), zone).astimezone(UTC)


def forecast(*, spent: Decimal, window: Window, now: datetime) -> Forecast:
    """What the whole window will cost if the rest of it goes as it has gone so far."""
    share = window.share(now)
    if share < TOO_EARLY:
        return Forecast(None, f"too early to tell: {share:.0%} of the window is over")
    whole = (spent / Decimal(share)).quantize(CENT, ROUND_HALF_UP)
    return Forecast(whole, f"{share:.0%} of the window is over")
