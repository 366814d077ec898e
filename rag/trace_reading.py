"""Reading traces back from their files, compressed or not."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings

from rag import trace_files
from rag.models import TraceSummary
from rag.trace_files import LATE_DAYS, DamagedFile

TRACE_ID = re.compile(r"[0-9a-f]{32}")


def folder() -> Path:
    return Path(settings.TRACE_DIR)


def find_line(trace_id: str) -> dict[str, Any] | None:
    """The trace of that id: its day from the summary row, or, where the row is missing, from today's and yesterday's file."""
    if not TRACE_ID.fullmatch(trace_id):
        return None
    row = TraceSummary.objects.filter(trace_id=trace_id).values_list("timestamp", flat=True).first()
    if row:
        return line_of(trace_id=trace_id, day=row.astimezone(UTC).date())
    today = datetime.now(UTC).date()
    return line_in(today, trace_id) or line_in(today - timedelta(days=1), trace_id)


def line_of(*, trace_id: str, day: date) -> dict[str, Any] | None:
    """The line of a trace of a UTC day: in the day's file, or, where it came late, in one of those after it."""
    found = (line_in(day + timedelta(days=late), trace_id) for late in range(LATE_DAYS + 1))
    return next((line for line in found if line is not None), None)


def line_in(day: date, trace_id: str) -> dict[str, Any] | None:
    """The line of a trace in the file of one day; None also where it stands behind a place that cannot be read."""
    marker = json.dumps({"trace_id": trace_id}, separators=(",", ":"))[:-1].encode()
    try:
        raw = next((raw for raw in trace_files.raw_lines(folder(), day) if raw.startswith(marker)), None)
    except DamagedFile:
        return None
    return None if raw is None else parsed(raw)


def lines_of(day: date) -> Iterator[dict[str, Any] | None]:
    """Every trace of a day in order; None for a line that is damaged (cut short by a crash, say)."""
    return (line for _, line in numbered_lines_of(day))


def numbered_lines_of(day: date) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """The same with the number of each line, from 1. What is no trace but says of what kind it is, is left out."""
    number = 0
    try:
        for number, raw in enumerate(trace_files.raw_lines(folder(), day), 1):
            if raw.strip() and not is_note(raw):
                yield number, parsed(raw)
    except DamagedFile:
        yield number + 1, None


def parsed(raw: bytes) -> dict[str, Any] | None:
    line = object_in(raw)
    return line if line is not None and "trace_id" in line else None


def is_note(raw: bytes) -> bool:
    """A whole line that is not a trace: that the day is closed, a warning."""
    if raw.startswith(b'{"trace_id":'):
        return False
    line = object_in(raw)
    return line is not None and "trace_id" not in line and "kind" in line


def object_in(raw: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(raw)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None


def days() -> list[date]:
    """The days that have a file, in order."""
    return trace_files.days_in(folder())


def matching(text: str, *, since: date | None = None, until: date | None = None) -> Iterator[dict[str, Any]]:
    """Traces between two days (both included) whose query, answer, id or any other value holds the text, in any case."""
    wanted = text.casefold()
    for day in days():
        if (since is None or day >= since) and (until is None or day <= until):
            for line in lines_of(day):
                if line is not None and wanted in json.dumps(line, ensure_ascii=False).casefold():
                    yield line
