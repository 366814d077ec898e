"""Reading traces back from their files."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings

from rag.models import TraceSummary

TRACE_ID = re.compile(r"[0-9a-f]{32}")


def path_of(day: date) -> Path:
    return Path(settings.TRACE_DIR) / f"{day:%Y-%m-%d}.jsonl"


def find_line(trace_id: str) -> dict[str, Any] | None:
    """The trace of that id: its day from the summary row, or, where the row is missing, from today's and yesterday's file."""
    if not TRACE_ID.fullmatch(trace_id):
        return None
    row = TraceSummary.objects.filter(trace_id=trace_id).values_list("timestamp", flat=True).first()
    today = datetime.now(UTC).date()
    days = [row.astimezone(UTC).date()] if row else [today, today - timedelta(days=1)]
    found = (line_of(trace_id=trace_id, day=day) for day in days)
    return next((line for line in found if line is not None), None)


def line_of(*, trace_id: str, day: date) -> dict[str, Any] | None:
    """The line of a trace in the file of a UTC day."""
    marker = json.dumps({"trace_id": trace_id}, separators=(",", ":"))[:-1].encode()
    path = path_of(day)
    if not path.exists():
        return None
    with path.open("rb") as file:
        for raw in file:
            if raw.startswith(marker):
                return parsed(raw)
    return None


def lines_of(day: date) -> Iterator[dict[str, Any] | None]:
    """Every line of a day in order; None for one that is damaged (cut short by a crash, say)."""
    path = path_of(day)
    if path.exists():
        with path.open("rb") as file:
            for raw in file:
                if raw.strip():
                    yield parsed(raw)


def parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(raw)
    except ValueError:
        return None
    return line if isinstance(line, dict) and "trace_id" in line else None


def days() -> list[date]:
    """The days that have a file, in order."""
    names = (path.stem for path in Path(settings.TRACE_DIR).glob("????-??-??.jsonl"))
    return sorted(date.fromisoformat(name) for name in names)


def matching(text: str, *, since: date | None = None, until: date | None = None) -> Iterator[dict[str, Any]]:
    """Traces between two days (both included) whose query, answer, id or any other value holds the text, in any case."""
    wanted = text.casefold()
    for day in days():
        if (since is None or day >= since) and (until is None or day <= until):
            for line in lines_of(day):
                if line is not None and wanted in json.dumps(line, ensure_ascii=False).casefold():
                    yield line
