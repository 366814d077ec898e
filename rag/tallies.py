"""Ledger entries and traces counted up, by the hour: what the roll-ups hold, and what a report adds to them. Plain Python.

A figure belongs to a place (an hour, and what a report can be narrowed to) and a split with a value (`model`, `voyage-3.5`).
Amounts are whole units of the ledger's last place, so that sums are exact.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple, TypeAlias

from costs.windows import midnight
from rag.latencies import STAGES, way_of
from rag.sketches import Bins, bin_of

QUARTER_S = 900
HOUR = timedelta(hours=1)
OK = 200


class Place(NamedTuple):
    """`kind` of an adjustment is that of the entry that it adjusts."""

    starts_at: datetime
    provider_mode: str
    module: str
    corpus: str
    kind: str


class Entry(NamedTuple):
    """A row of the ledger. `units` None: unpriced. `supplies`: the first adjustment of an entry that was."""

    at: datetime
    provider_mode: str
    module: str
    corpus: str
    kind: str
    counts_as: str
    model: str
    query_type: str
    api_key_id: int | None
    prompt_version: str
    units: int | None
    is_call: bool
    supplies: bool


class Traced(NamedTuple):
    """A row of the traces. `stages_ms` in the order of STAGES."""

    at: datetime
    provider_mode: str
    module: str
    corpus: str
    kind: str
    query_type: str
    api_key_id: int | None
    prompt_version: str
    status: int
    answer_cache: str
    degraded: tuple[str, ...]
    tokens_in: int
    cache_read: int
    avoided_units: int
    prompt_saved_units: int
    stages_ms: tuple[float | None, ...]


FigureKey: TypeAlias = tuple[Place, str, str]
LatencyKey: TypeAlias = tuple[Place, str, str]
UNITS, CALLS, QUESTIONS = 0, 1, 2


class Hours:
    """The hours of a zone's days, counted from each midnight: each lies in one day, and a day's last one may be shorter.

    No zone's clocks are off by other than whole quarters of an hour, so those are what is looked up.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._known: dict[int, tuple[datetime, datetime]] = {}

    def of(self, at: datetime) -> tuple[datetime, datetime]:
        """The beginnings of the hour and of the day that a moment lies in, in UTC."""
        quarter = int(at.timestamp()) // QUARTER_S
        if quarter not in self._known:
            self._known[quarter] = self._found(at)
        return self._known[quarter]

    def _found(self, at: datetime) -> tuple[datetime, datetime]:
        day = at.astimezone(self._zone).date()
        while (begins := midnight(day, self._zone)) > at:
            day -= timedelta(days=1)
        return begins + (at - begins) // HOUR * HOUR, begins


class Tally:
    """Figures as [units, calls, questions], and histograms of latencies, each by its place."""

    def __init__(self, hours: Hours) -> None:
        self.figures: dict[FigureKey, list[int]] = defaultdict(lambda: [0, 0, 0])
        self.latencies: dict[LatencyKey, Bins] = defaultdict(Bins)
        self.units = 0
        self._hours = hours

    def add_entries(self, entries: Iterable[Entry]) -> int:
        """How many there were."""
        count = 0
        for count, entry in enumerate(entries, 1):  # noqa: B007
            self._add_entry(entry)
        return count

    def _add_entry(self, entry: Entry) -> None:
        place = Place(self._hours.of(entry.at)[0], entry.provider_mode, entry.module, entry.corpus, entry.counts_as)
        units, calls = entry.units or 0, int(entry.is_call)
        for split, value in (*shared_splits(entry), ("model", entry.model)):
            figure = self.figures[place, split, value]
            figure[UNITS] += units
            figure[CALLS] += calls
        self.units += units
        if unpriced := int(entry.is_call and entry.units is None) - int(entry.supplies):
            self.figures[place, "unpriced", entry.model][CALLS] += unpriced

    def add_traces(self, traces: Iterable[Traced]) -> int:
        """How many there were."""
        count = 0
        for count, trace in enumerate(traces, 1):  # noqa: B007
            self._add_trace(trace)
        return count

    def _add_trace(self, trace: Traced) -> None:
        place = Place(self._hours.of(trace.at)[0], *trace[1:5])
        for split, value in (*shared_splits(trace), *counted(trace)):
            self.figures[place, split, value][QUESTIONS] += 1
        for value, units in (("answers", trace.avoided_units), ("prompts", trace.prompt_saved_units)):
            if units:
                self.figures[place, "saved", value][UNITS] += units
        if trace.status == OK:
            way = way_of(degraded=bool(trace.degraded), answer_cache=trace.answer_cache)
            for stage, ms in zip(STAGES, trace.stages_ms, strict=True):
                if ms is not None:
                    self.latencies[place, way, stage][bin_of(ms)] += 1

    def by_day(self) -> "Tally":
        """The same, with the days in place of the hours."""
        days = Tally(self._hours)
        for (place, *key), figure in self.figures.items():
            added = days.figures[(self._day(place), *key)]  # type: ignore[index]
            for number, amount in enumerate(figure):
                added[number] += amount
        for (place, *key), bins in self.latencies.items():
            days.latencies[(self._day(place), *key)].update(bins)  # type: ignore[index]
        return days

    def _day(self, place: Place) -> Place:
        return place._replace(starts_at=self._hours.of(place.starts_at)[1])


def shared_splits(row: Entry | Traced) -> tuple[tuple[str, str], ...]:
    return (
        ("total", ""),
        ("module", row.module),
        ("query_type", row.query_type),
        ("api_key_id", "" if row.api_key_id is None else str(row.api_key_id)),
        ("prompt_version", row.prompt_version),
        ("kind", row.kind),
    )


def counted(trace: Traced) -> Iterable[tuple[str, str]]:
    """What a report counts questions by, without money."""
    yield "status", str(trace.status)
    if trace.answer_cache in ("hit", "miss"):
        yield "answer_cache", trace.answer_cache
    if trace.tokens_in > 0:
        yield "prompt_cache", "generations"
    if trace.cache_read > 0:
        yield "prompt_cache", "reading"
    if trace.status == OK:
        yield from (("degraded", how) for how in dict.fromkeys(trace.degraded))
