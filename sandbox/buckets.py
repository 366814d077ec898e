"""What both vendors' reports have in common: a span cut into buckets of time, which come in pages."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sandbox.bill import Bill
from sandbox.bill_entry import Entry
from sandbox.vendors import Refusal

GONE = 410
WIDTHS = {"1m": timedelta(minutes=1), "1h": timedelta(hours=1), "1d": timedelta(days=1)}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Buckets:
    """From `start` to before `end`, in buckets of `width`, `limit` of them in a page."""

    start: datetime
    end: datetime
    width: timedelta
    limit: int

    def page(self) -> tuple[list[tuple[datetime, datetime]], datetime | None]:
        """The buckets of one page, by their ends, and where the next page begins; None: there is none."""
        found = list(self._first(self.limit + 1))
        return found[: self.limit], found[self.limit][0] if len(found) > self.limit else None

    def filled(self, bill: Bill, provider: str) -> Iterator[tuple[datetime, datetime, list[Entry]]]:
        """The buckets of one page with what a provider billed in them. Raises Refusal(410) where that is not kept any more."""
        shown, _ = self.page()
        if not shown:
            return
        try:
            entries = bill.between(shown[0][0], shown[-1][1], provider=provider)
        except LookupError as error:
            raise Refusal(GONE, str(error)) from error
        held: dict[datetime, list[Entry]] = defaultdict(list)
        for entry in entries:
            held[snapped(entry.at, self.width)].append(entry)
        for start, end in shown:
            yield start, end, held[start]

    def _first(self, count: int) -> Iterator[tuple[datetime, datetime]]:
        start = self.start
        while count and start + self.width <= self.end:
            yield start, start + self.width
            start, count = start + self.width, count - 1


def width_in(query: Mapping[str, str], *, known: tuple[str, ...]) -> str:
    """Raises Refusal(400)."""
    width = query.get("bucket_width", "1d")
    if width not in known:
        raise Refusal(400, f"bucket_width: Input should be one of {', '.join(known)}")
    return width


def limit_in(query: Mapping[str, str], *, default: int, most: int) -> int:
    """Raises Refusal(400)."""
    limit = query.get("limit", str(default))
    if not limit.isdecimal() or not 1 <= int(limit) <= most:
        raise Refusal(400, f"limit: Input should be from 1 to {most}")
    return int(limit)


def snapped(at: datetime, width: timedelta) -> datetime:
    """The beginning of the bucket that holds the moment."""
    return at - (at - EPOCH) % width
