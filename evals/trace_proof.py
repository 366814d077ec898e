"""Whether queries left what was promised: a whole line in a trace file, a row, and a request that can be made again."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date
from typing import Any

from evals.ship_gate import Finding
from rag.models import TraceSummary
from rag.replaying import Replay, replay
from rag.trace_reading import find_line, lines_of

SHOWN = 3


def replayed(trace_ids: Sequence[str]) -> Finding:
    """Each query is replayed. Faults name the first few."""
    days = days_of(trace_ids)
    lines = lines_by_id(set(days.values()), set(trace_ids))
    faults = [fault for trace_id in trace_ids if (fault := fault_of(trace_id, days, lines))]
    good = len(trace_ids) - len(faults)
    told = f"{good:,} of {len(trace_ids):,} queries traced, in rows, and replayed identically"
    if not trace_ids:
        return Finding(told, ("there were no queries",))
    return Finding(told, (f"{len(faults):,} are not, such as {', '.join(faults[:SHOWN])}",) if faults else ())


def days_of(trace_ids: Iterable[str]) -> dict[str, date]:
    """UTC days of those that have a row."""
    rows = TraceSummary.objects.filter(trace_id__in=list(trace_ids)).values_list("trace_id", "timestamp")
    return {trace_id: timestamp.astimezone(UTC).date() for trace_id, timestamp in rows}


def lines_by_id(days: Iterable[date], wanted: set[str]) -> dict[str, dict[str, Any]]:
    """One pass over each day's file, however many are wanted of it."""
    found = (line for day in days for line in lines_of(day) if line is not None)
    return {line["trace_id"]: line for line in found if line["trace_id"] in wanted}


def fault_of(trace_id: str, days: dict[str, date], lines: dict[str, dict[str, Any]]) -> str:
    if trace_id not in days:
        return f"{trace_id} (no row)"
    line = lines.get(trace_id) or find_line(trace_id)  # one that came late stands in a later day's file
    if line is None:
        return f"{trace_id} (no line)"
    found = replay(line)
    return "" if found.identical else f"{trace_id} ({', '.join(reasons(found))})"


def reasons(found: Replay) -> Iterator[str]:
    if found.withheld:
        yield found.withheld
    yield from (f"{each.what}: {each.then} -> {each.now}" for each in found.differences[:SHOWN])
