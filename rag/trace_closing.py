"""The life of a day's file once the day is over: held against the rows, closed, compressed, deleted."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from django.conf import settings

from rag import alarms, clock, trace_checking, trace_files, trace_reading, trace_upkeep
from rag.trace_chain import is_close_line
from rag.trace_checking import Verified
from rag.trace_files import gz_path

log = logging.getLogger(__name__)

GRACE = timedelta(hours=1)
"""after midnight (UTC), so that what began before it has been written: no request lasts as long"""


@dataclass(frozen=True, slots=True)
class Step:
    """What is due, or was done, with the file of a day."""

    day: date
    what: str


def due(*, folder: Path, now: datetime) -> list[Step]:
    """What `tend` would do, in its order. Today is never touched, nor yesterday before the grace period is over."""
    chain, days = trace_files.read_chain(folder), trace_files.days_in(folder)
    over = (now - GRACE).date()
    close = [Step(day, "close") for day in days if day < over and not chain.knows(day) and is_open(folder, day)]
    closed = [day for day in days if day < over and str(day) not in chain.deleted]
    old = now.date() - timedelta(days=settings.TRACE_COMPRESS_DAYS)
    oldest = now.date() - timedelta(days=settings.TRACE_KEEP_DAYS)
    compress = [Step(day, "compress") for day in closed if oldest <= day < old and not gz_path(folder, day).exists()]
    return [*close, *compress, *(Step(day, "delete") for day in closed if day < oldest)]


def tend(*, folder: Path, now: datetime) -> list[Step]:
    """Do what is due, of all days that were missed. Doing it twice changes nothing; returns what was done."""
    with trace_upkeep.upkeep(folder):
        steps = due(folder=folder, now=now)
        for step in steps:
            DOING[step.what](folder, step.day)
            log.info("trace file of %s: %s", step.day, step.what)
    return steps


def is_open(folder: Path, day: date) -> bool:
    return not gz_path(folder, day).exists() and not is_close_line(trace_files.last_line(folder, day))


def check_and_close(folder: Path, day: date) -> None:
    """Missing rows are written from the lines first. What cannot be mended is told, and the day is closed as it is."""
    found = trace_checking.verify(repair=True, days=[day])
    problems = [f"damaged line: {place}" for place in found.damaged]
    problems += [f"no line for the row of trace {trace_id}" for trace_id in found.without_line]
    if problems:
        note_gap(day, found, problems)
    trace_upkeep.close(folder, day)


def note_gap(day: date, found: Verified, problems: Sequence[str]) -> None:
    """The traces of a day are not whole: to the log, and to whom alerts go."""
    log.error("the traces of %s have gaps: %s", day, "; ".join(problems))
    alarms.trace_gap(day=day, missing=found.without_line, damaged=found.damaged, now=clock.now())


DOING: dict[str, Callable[[Path, date], None]] = {
    "close": check_and_close,
    "compress": trace_upkeep.compress,
    "delete": trace_upkeep.delete,
}


def close_trace_files(now: datetime) -> list[Step]:
    """Those of this site."""
    return tend(folder=trace_reading.folder(), now=now)
