"""The figures of a report: from the roll-ups, and from the rows that are not in them yet; exact, however old they are."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from costs.models import LedgerEntry
from rag.cost_rows import Scope, entries_of, traces_of
from rag.latencies import STAGES
from rag.models import LatencyRollup, Rollup, RollupState, Span, TraceSummary
from rag.rollups import current
from rag.sketches import Bins, merged, packed
from rag.tallies import CALLS, QUESTIONS, UNITS, Hours, Tally

TRIES = 5
"""Roll-ups that are kept while a report is made are read anew; more often than this they cannot change meanwhile."""


@dataclass(slots=True)
class Figure:
    """`asked_units`: what of `units` was spent on questions."""

    units: int = 0
    asked_units: int = 0
    calls: int = 0
    questions: int = 0

    def add(self, units: int, asked_units: int, calls: int, questions: int) -> None:
        self.units += units
        self.asked_units += asked_units
        self.calls += calls
        self.questions += questions


ByValue = Mapping[str, Figure]
Row = TypeVar("Row", Rollup, LatencyRollup)
Written = TypeVar("Written", LedgerEntry, TraceSummary)


@dataclass(slots=True)
class Figures:
    """Of one scope, by the days or the hours of it: by split, beginning and value; `bins` by beginning, way and stage."""

    state: RollupState
    found: dict[str, dict[datetime, dict[str, Figure]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(Figure)))
    )
    bins: dict[tuple[datetime, str, str], list[bytes]] = field(default_factory=lambda: defaultdict(list))

    def at(self, split: str, starts_at: datetime, value: str = "") -> Figure:
        return self.found.get(split, {}).get(starts_at, {}).get(value) or Figure()

    def values_at(self, split: str, starts_at: datetime) -> ByValue:
        return self.found.get(split, {}).get(starts_at, {})

    def sums(self, split: str) -> dict[str, Figure]:
        """By value, over the whole time."""
        added: dict[str, Figure] = defaultdict(Figure)
        for values in self.found.get(split, {}).values():
            for value, each in values.items():
                added[value].add(each.units, each.asked_units, each.calls, each.questions)
        return added

    def latencies(self) -> dict[tuple[str, str], Bins]:
        """By way and stage."""
        parts: dict[tuple[str, str], list[bytes]] = defaultdict(list)
        for (_, way, stage), some in self.bins.items():
            parts[way, stage] += some
        return {place: merged(some) for place, some in parts.items()}

    def latency_at(self, starts_at: datetime, ways: Iterable[str]) -> Bins:
        """Of whole answers."""
        parts = (self.bins.get((starts_at, way, STAGES[0]), []) for way in ways)
        return merged(some for each in parts for some in each)


def figures(scope: Scope, span: Span = Span.DAY) -> Figures:
    """Read until nobody has changed the roll-ups meanwhile."""
    for _ in range(TRIES):
        state = current()
        found = Figures(state)
        if state.generation:
            add_rollups(found, scope, span)
        add_rows(found, scope, span)
        if current().generation == state.generation:
            return found
    return found


def add_rollups(found: Figures, scope: Scope, span: Span) -> None:
    asked = Q(kind__in=scope.question_kinds)
    rows = places(Rollup.objects.all(), scope, span)
    sums = rows.values_list("starts_at", "split", "value").annotate(
        in_all=Sum("units"),
        on_questions=Sum("units", filter=asked),
        called=Sum("calls"),
        questioned=Sum("questions", filter=asked),
    )
    for starts_at, split, value, *amounts in sums.order_by():
        found.found[split][starts_at][value].add(*(int(amount or 0) for amount in amounts))
    timed = places(LatencyRollup.objects.all(), scope, span).filter(asked)
    for starts_at, way, stage, bins in timed.values_list("starts_at", "way", "stage", "bins"):
        found.bins[starts_at, way, stage].append(bytes(bins))


def places(rows: QuerySet[Row], scope: Scope, span: Span) -> QuerySet[Row]:
    rows = rows.filter(span=span, starts_at__gte=scope.since, starts_at__lt=scope.until, **scope.part)
    return rows if scope.kinds is None else rows.filter(kind__in=scope.kinds)


def add_rows(found: Figures, scope: Scope, span: Span) -> None:
    """Those that have been written since the roll-ups were kept."""
    hours = Tally(Hours(timezone.get_default_timezone()))
    last_entry, last_trace = found.state.last_entry, found.state.last_trace
    entries = entries_of(since(LedgerEntry.objects.all(), last_entry, "at", scope), few=last_entry > 0)
    traces = traces_of(since(TraceSummary.objects.all(), last_trace, "timestamp", scope), few=last_trace > 0)
    hours.add_entries(filter(scope.holds, entries))
    hours.add_traces(filter(scope.holds, traces))
    tally = hours if span == Span.HOUR else hours.by_day()
    for (place, split, value), figure in tally.figures.items():
        asked = place.kind in scope.question_kinds
        found.found[split][place.starts_at][value].add(
            figure[UNITS], figure[UNITS] * asked, figure[CALLS], figure[QUESTIONS]
        )
    for (place, way, stage), bins in tally.latencies.items():
        found.bins[place.starts_at, way, stage].append(packed(bins))


def since(rows: QuerySet[Written], last: int, column: str, scope: Scope) -> QuerySet[Written]:
    """By the id alone: with more conditions a database may go through all rows of the time instead of the few new ones."""
    if last:
        return rows.filter(pk__gt=last).order_by("pk")
    return rows.filter(**{f"{column}__gte": scope.since, f"{column}__lt": scope.until})
