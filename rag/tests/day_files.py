"""Days of trace files for tests, written through the front door."""

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings

from rag import summaries, trace_files, trace_upkeep
from rag.tests.trace_lines import trace_line
from rag.trace_files import TraceFiles
from rag.trace_proof import prove

DAY = date(2026, 11, 20)
NOON = time(12, tzinfo=UTC)


def folder() -> Path:
    return Path(settings.TRACE_DIR)


def line_at(day: date, **changes: Any) -> dict[str, Any]:
    moment = datetime.combine(day, NOON)
    known = {"trace_id": uuid4().hex, "timestamp": moment.isoformat(), "standalone": None, "salt": uuid4().hex}
    return trace_line(**(known | changes))


def write(day: date, *, rows: bool = False, **changes: Any) -> dict[str, Any]:
    """Append a line of that day's noon; with `rows` as a request would leave it."""
    line = line_at(day, **changes)
    TraceFiles(folder()).append(line=line, at=datetime.combine(day, NOON))
    if rows:
        summaries.save_rows(line)
    return line


def close(*days: date) -> None:
    with trace_upkeep.upkeep(folder()):
        for day in days:
            trace_upkeep.close(folder(), day)


def days_ago(count: int) -> date:
    return datetime.now(UTC).date() - timedelta(days=count)


def closed_days(count: int = 3, *, lines: int = 3) -> list[date]:
    days = [DAY + timedelta(days=ahead) for ahead in range(count)]
    for day in days:
        for _ in range(lines):
            write(day)
        close(day)
    return days


def raw(day: date) -> list[bytes]:
    return list(trace_files.raw_lines(folder(), day))


def objects(day: date) -> list[dict[str, Any]]:
    return [json.loads(line) for line in raw(day)]


def problems() -> list[str]:
    return list(prove(folder()).problems)
