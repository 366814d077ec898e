"""Keeping the roll-ups: what was written since is taken in, by its id and not by its time, so that nothing is ever too late.

An entry or a trace of last month, a repaired row or an adjustment has a new id: it goes into the hour and the day of its
time. What is not in the roll-ups yet has a higher id than the state says; reports read those rows themselves (`cost_figures`),
and are right whenever this has last run, even never. That rests on two things: no row up to that id appears later (`settled`),
and none changes. Rows of the ledger cannot; of a trace, what counts here never does. Where traces were deleted by hand, `check`
finds it.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import sleep
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import F, Max, Model, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from costs.models import LedgerEntry
from rag.cost_rows import entries_of, traces_of, units_in
from rag.models import LatencyRollup, Rollup, RollupState, Span, TraceSummary
from rag.rollup_models import PLACE
from rag.sketches import packed, unpacked
from rag.tallies import Hours, Place, Tally

log = logging.getLogger(__name__)
AT_ONCE = 100_000
"""Ids of each table that one transaction takes in."""
ON_SQLITE = 2_000
"""There nobody else can write meanwhile: each time for about a second."""
WRITTEN_AT_ONCE = 500
CHECK_EVERY = timedelta(hours=1)
TRIES, BETWEEN_S = 100, 0.02


@dataclass(frozen=True, slots=True)
class Heads:
    """The highest ids of the two tables."""

    entry: int
    trace: int


def keep(now: datetime) -> None:
    """Every few minutes: take in what is new; every hour, hold all against the rows and begin anew where they differ."""
    roll_up(now)
    checked_at = current().checked_at
    is_due = checked_at is None or checked_at <= now - CHECK_EVERY
    if is_due and not check(now):
        log.error("the roll-ups are not what the rows say: they are made anew")
        rebuild(now)


def rebuild(now: datetime) -> None:
    """Forget the roll-ups and make them from the rows. Reports stay right meanwhile."""
    forget()
    roll_up(now)
    check(now)


def current() -> RollupState:
    """The state, for the zone of the settings; where there are none for it, one of nothing, which is not saved."""
    state = RollupState.objects.filter(zone=timezone.get_default_timezone_name()).first()
    return state or RollupState(zone=timezone.get_default_timezone_name())


def roll_up(now: datetime) -> int:
    """Take in all rows that are settled: how many. Roll-ups of another zone are forgotten."""
    heads = settled()
    if heads is None:
        log.warning("the tables were never without a writer: rolled up the next time")
        return 0
    if not RollupState.objects.filter(zone=timezone.get_default_timezone_name()).exists():
        forget()
    taken = 0
    while True:
        state = current()
        if state.last_entry >= heads.entry and state.last_trace >= heads.trace:
            return taken
        if not take_in(state, heads, now):
            return taken  # another process does it at the same time
        taken += 1


@transaction.atomic
def forget() -> None:
    """As if nothing had ever been rolled up. Its generation goes on: a report that is being made notices."""
    nothing = {"last_entry": 0, "last_trace": 0, "entries": 0, "traces": 0, "units": 0, "checked_at": None}
    zone = timezone.get_default_timezone_name()
    state, _ = RollupState.objects.update_or_create(pk=RollupState.ONLY, defaults=nothing | {"zone": zone})
    RollupState.objects.filter(pk=state.pk).update(generation=F("generation") + 1)
    Rollup.objects.all().delete()
    LatencyRollup.objects.all().delete()


def settled() -> Heads | None:
    """The highest ids below which no row can still appear; None: somebody was writing all the while.

    On PostgreSQL a transaction may commit after one with higher ids. So a moment is waited for in which none writes, without
    standing in the queue: others would stand behind. SQLite has one writer at a time.
    """
    if connection.vendor != "postgresql":
        return heads()
    for _ in range(TRIES):
        try:
            with transaction.atomic(durable=True), connection.cursor() as cursor:
                tables = f"{LedgerEntry._meta.db_table}, {TraceSummary._meta.db_table}"
                cursor.execute(f"LOCK TABLE {tables} IN SHARE MODE NOWAIT")
                return heads()
        except OperationalError:
            sleep(BETWEEN_S)
    return None


def heads() -> Heads:
    def highest(model: type[Model]) -> int:
        return model._default_manager.aggregate(highest=Max("pk"))["highest"] or 0

    return Heads(highest(LedgerEntry), highest(TraceSummary))


def take_in(state: RollupState, heads: Heads, now: datetime) -> bool:
    """The next rows: counted up outside of the transaction, written inside. False: somebody else took them in meanwhile."""
    step = min(AT_ONCE, ON_SQLITE) if connection.vendor == "sqlite" else AT_ONCE
    upto = Heads(min(heads.entry, state.last_entry + step), min(heads.trace, state.last_trace + step))
    tally = Tally(Hours(timezone.get_default_timezone()))
    entries = LedgerEntry.objects.filter(pk__gt=state.last_entry, pk__lte=upto.entry).order_by("pk")
    traces = TraceSummary.objects.filter(pk__gt=state.last_trace, pk__lte=upto.trace).order_by("pk")
    counted = {"entries": tally.add_entries(entries_of(entries)), "traces": tally.add_traces(traces_of(traces))}
    added = counted | {"units": tally.units, "generation": 1}
    with transaction.atomic():
        same = RollupState.objects.filter(generation=state.generation, zone=state.zone)
        raised: dict[str, Any] = {name: F(name) + amount for name, amount in added.items()}
        if not same.update(last_entry=upto.entry, last_trace=upto.trace, rolled_up_at=now, **raised):
            return False
        write(Span.HOUR, tally)
        write(Span.DAY, tally.by_day())
    return True


def write(span: Span, tally: Tally) -> None:
    """Add to what is there. Only one process gets here at a time."""
    moments = {key[0].starts_at for key in (*tally.figures, *tally.latencies)}
    figures, bins = there(Rollup, span, moments), there(LatencyRollup, span, moments)
    rollups = []
    for (place, split, value), figure in tally.figures.items():
        before = figures.get((place, split, value), (0, 0, 0))
        units, calls, questions = (sum(pair) for pair in zip(figure, before, strict=True))
        rollups.append(
            Rollup(
                span=span, split=split, value=value, units=units, calls=calls, questions=questions, **place._asdict()
            )
        )
    timed = []
    for (place, way, stage), added in tally.latencies.items():
        before = bins.get((place, way, stage), (b"",))
        together = packed(unpacked(bytes(before[0])) + added)
        timed.append(LatencyRollup(span=span, way=way, stage=stage, bins=together, **place._asdict()))
    save(Rollup, rollups)
    save(LatencyRollup, timed)


def there(model: type[Rollup] | type[LatencyRollup], span: Span, moments: Iterable[datetime]) -> dict[Any, Any]:
    """The figures of some hours or days by the keys of a tally."""
    rows = model._default_manager.filter(span=span, starts_at__in=list(moments))
    found = rows.values_list(*PLACE[1:], *model.NAMED, *model.FIGURES)
    return {(Place(*row[:5]), row[5], row[6]): row[7:] for row in found.iterator()}


def save(model: type[Rollup] | type[LatencyRollup], rows: Sequence[Any]) -> None:
    model._default_manager.bulk_create(
        rows,
        batch_size=WRITTEN_AT_ONCE,
        update_conflicts=True,
        unique_fields=[*PLACE, *model.NAMED],
        update_fields=list(model.FIGURES),
    )


def check(now: datetime) -> bool:
    """Whether the roll-ups hold as many rows, and as much money, as the tables do up to where they have read."""
    state = current()
    entries = LedgerEntry.objects.filter(pk__lte=state.last_entry)
    days = Rollup.objects.filter(span=Span.DAY, split="total")
    held = days.aggregate(units=Coalesce(Sum("units"), 0), questions=Coalesce(Sum("questions"), 0))
    read = (state.entries, state.traces, state.units)
    found = (entries.count(), TraceSummary.objects.filter(pk__lte=state.last_trace).count(), units_in(entries))
    same = found == read and (held["questions"], held["units"]) == read[1:]
    if same:
        RollupState.objects.filter(generation=state.generation).update(checked_at=now)
    return same
