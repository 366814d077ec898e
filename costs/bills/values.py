"""A span of time and what a provider says that it cost. Plain Python: no Django, no HTTP, no clock."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from costs.usage import Usage

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
WIDTHS = {DAY: "1d", HOUR: "1h", MINUTE: "1m"}
"""Buckets of time as the providers' reports name them, the widest first."""
TOTAL = "total"
DATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ReportUnavailable(Exception):
    """The provider's bill cannot be had, or not be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` to before `until`, both in UTC and at a whole minute. Raises ValueError for anything else."""

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        if self.since >= self.until:
            raise ValueError(f"{self.until:%Y-%m-%dT%H:%MZ} is not after {self.since:%Y-%m-%dT%H:%MZ}")
        if any((moment - EPOCH) % MINUTE for moment in (self.since, self.until)):
            raise ValueError("a span begins and ends at a whole minute")

    @classmethod
    def of_day(cls, day: date) -> "Span":
        since = datetime.combine(day, time(0), UTC)
        return cls(since, since + DAY)

    @property
    def width(self) -> timedelta:
        """The widest buckets that make up the span."""
        ends = (self.since - EPOCH, self.until - EPOCH)
        return next(width for width in WIDTHS if not any(end % width for end in ends))

    @property
    def is_of_days(self) -> bool:
        return self.width == DAY

    def holds(self, moment: datetime) -> bool:
        return self.since <= moment < self.until

    def __str__(self) -> str:
        if not self.is_of_days:
            return f"{self.since:%Y-%m-%dT%H:%MZ} to {self.until:%Y-%m-%dT%H:%MZ}"
        first, last = self.since.date(), (self.until - DAY).date()
        return f"{first}" if first == last else f"{first} to {last}"


@dataclass(frozen=True, slots=True)
class Bill:
    """What a provider counted and charged in a span, by model.

    `usd` is by model and kind of token, or `total` where a model's cost is not split. None: the provider tells no cost for a
    span like this one. `other_usd`: what was charged for anything else.
    """

    usage: Mapping[str, Usage]
    usd: Mapping[tuple[str, str], Decimal] | None
    other_usd: Decimal = field(default=Decimal(0))

    @property
    def models(self) -> set[str]:
        return {*self.usage, *(model for model, _ in self.usd or ())}

    @property
    def splits_cost(self) -> bool:
        """Whether the cost is told by kind of token."""
        return self.usd is not None and all(kind != TOTAL for _, kind in self.usd)

    def usd_of(self, model: str) -> Decimal | None:
        if self.usd is None:
            return None
        return sum((amount for (name, _), amount in self.usd.items() if name == model), Decimal(0))


def base_name(model: str) -> str:
    """Without the date that providers add to the name of a snapshot."""
    return DATED.sub("", model)
