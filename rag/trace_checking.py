"""Holding trace files and rows against each other. The files are the authority: what the rows lack is written again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any

from costs.models import LedgerEntry
from rag import summaries, trace_files, trace_reading
from rag.models import TraceSummary
from rag.trace_files import LATE_DAYS

AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found. A damaged line cannot be repaired; missing rows can."""

    lines: int
    damaged: tuple[str, ...]
    without_rows: tuple[str, ...]
    without_line: tuple[str, ...]
    repaired: int

    @property
    def problems(self) -> list[str]:
        repaired = " (repaired)" if self.repaired else ""
        return [
            *(f"damaged line: {place}" for place in self.damaged),
            *(f"rows missing for trace {trace_id}{repaired}" for trace_id in self.without_rows),
            *(f"no line for the row of trace {trace_id}" for trace_id in self.without_line),
        ]

    @property
    def repairable(self) -> bool:
        return bool(self.without_rows) and not self.repaired

    @property
    def open_problems(self) -> bool:
        return self.repairable or bool(self.damaged or self.without_line)

    def told(self) -> str:
        return (
            f"{self.lines} lines; damaged {len(self.damaged)}, rows missing {len(self.without_rows)}, "
            f"repaired {self.repaired}, rows without a line {len(self.without_line)}"
        )


def verify(*, repair: bool, days: Iterable[date] | None = None) -> Verified:
    """Compare the files of all days (or of those given) with their rows; with `repair` write the rows that are missing.

    Days whose file was deleted because of its age have rows without lines, and are left out.
    """
    damaged: list[str] = []
    missing: list[str] = []
    orphans: set[str] = set()
    lines = 0
    deleted = trace_files.read_chain(trace_reading.folder()).deleted
    for day in sorted({*trace_reading.days(), *row_days()} if days is None else set(days)):
        if str(day) in deleted:
            continue
        rows = row_ids(day)  # before the lines: a request that ends meanwhile is no orphan
        for batch in in_batches(numbered(day, damaged)):
            lines += len(batch)
            rows -= {line["trace_id"] for line in batch}
            lacking = without_rows_in_the_end(batch)
            missing += [line["trace_id"] for line in lacking]
            if repair:
                for line in lacking:
                    summaries.save_rows(line)
        orphans |= rows - late_ids(day) if rows else set()
    return Verified(lines, tuple(damaged), tuple(missing), tuple(sorted(orphans)), len(missing) if repair else 0)


def late_ids(day: date) -> set[str]:
    """The traces of a day whose lines stand in the files of the days after it."""
    later = (day + timedelta(days=ahead) for ahead in range(1, LATE_DAYS + 1))
    return {
        line["trace_id"]
        for each in later
        for line in trace_reading.lines_of(each)
        if line is not None and line["timestamp"].startswith(str(day))
    }


def numbered(day: date, damaged: list[str]) -> Iterator[dict[str, Any]]:
    """The whole lines of a day; the places of damaged ones are added to `damaged`."""
    for number, line in trace_reading.numbered_lines_of(day):
        if line is None:
            damaged.append(f"{day}.jsonl:{number}")
        else:
            yield line


def in_batches(lines: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(lines, AT_ONCE)):
        yield batch


def without_rows_in_the_end(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`without_rows`, but rows that were still to be written when their lines were read have the time to come."""
    lacking = without_rows(lines)
    if not lacking:
        return []
    summaries.wait_for_late_rows()
    return without_rows(lacking)


def without_rows(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines whose summary row is missing, or that have fewer ledger entries than attempts."""
    ids = [line["trace_id"] for line in lines]
    summarised = set(TraceSummary.objects.filter(trace_id__in=ids).values_list("trace_id", flat=True))
    booked: dict[str, int] = {}
    for trace_id in LedgerEntry.objects.calls().filter(trace_id__in=ids).values_list("trace_id", flat=True):
        booked[trace_id] = booked.get(trace_id, 0) + 1
    return [
        line
        for line in lines
        if line["trace_id"] not in summarised or booked.get(line["trace_id"], 0) < len(line["attempts"])
    ]


def row_days() -> set[date]:
    return {moment.date() for moment in TraceSummary.objects.datetimes("timestamp", "day", tzinfo=UTC)}


def row_ids(day: date) -> set[str]:
    start = datetime.combine(day, time(0), UTC)
    rows = TraceSummary.objects.filter(timestamp__gte=start, timestamp__lt=start + timedelta(days=1))
    return set(rows.values_list("trace_id", flat=True))
