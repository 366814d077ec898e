"""The tables of the cost page, as text, with links to the traces behind each row; and CSV. No SQL, no HTML."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from typing import Any

from django.utils import timezone

FORMULA = ("=", "+", "-", "@", "\t", "\r")
LONGEST = 31
"""Rows that are shown; the CSV has all."""
Row = Mapping[str, Any]
Link = Callable[[Row], str]


def local(moment: str) -> str:
    return f"{timezone.localtime(datetime.fromisoformat(moment)):%Y-%m-%d %H:%M}"


def dollars(value: float) -> str:
    return f"${value:,.4f}"


def finely(value: float) -> str:
    return f"${value:,.6f}"


def in_ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:,.2g}"


WRITTEN: Mapping[str, Callable[[Any], str]] = {
    **dict.fromkeys(("spend_usd", "avoided_usd", "prompt_saved_usd"), dollars),
    **dict.fromkeys(("cost_per_query_usd", "uncached_per_query_usd"), finely),
    **dict.fromkeys(("prompt_hit_rate", "answer_hit_rate"), lambda value: f"{value:.1%}"),
    **dict.fromkeys(("hour", "started_at", "ended_at"), local),
    **dict.fromkeys(("questions", "calls", "count", "failures"), lambda value: f"{value:,}"),
    **dict.fromkeys(("p50", "p95", "p99"), in_ms),
    "partial": lambda value: "so far" if value else "",
}
NUMBERS = frozenset(WRITTEN) - {"hour", "started_at", "ended_at", "partial"}
HEADINGS = {
    "spend_usd": "spend",
    "cost_per_query_usd": "per question",
    "uncached_per_query_usd": "without the caches",
    "avoided_usd": "answer cache saved",
    "prompt_saved_usd": "prompt cache saved",
    "prompt_hit_rate": "prompt cache hits",
    "answer_hit_rate": "answer cache hits",
    "api_key_id": "key",
    "p50": "p50 ms",
    "p95": "p95 ms",
    "p99": "p99 ms",
    "partial": "",
}


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    is_number: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A row: its first cell, where that leads (or nothing), the other cells."""

    head: str
    url: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """`left_out`: how many rows are in the CSV alone."""

    name: str
    title: str
    note: str
    headings: tuple[Cell, ...]
    lines: tuple[Line, ...]
    left_out: int


def table(
    name: str, title: str, rows: Sequence[Row], link: Link, *, note: str = "", columns: Sequence[str] = ()
) -> Table:
    """`columns`: some of them, in that order; none given: all."""
    shown = [{column: row[column] for column in columns} if columns else row for row in rows[:LONGEST]]
    named = shown[0] if shown else {}
    headings = tuple(heading(name, value, is_first=not n) for n, (name, value) in enumerate(named.items()))
    lines = tuple(line(row, link(whole)) for row, whole in zip(shown, rows, strict=False))
    return Table(name, title, note, headings, lines, max(0, len(rows) - LONGEST))


def heading(name: str, value: Any, *, is_first: bool) -> Cell:
    return Cell(HEADINGS.get(name, name.replace("_", " ")), not is_first and cell(name, value).is_number)


def line(row: Row, url: str) -> Line:
    head, *others = (cell(name, value) for name, value in row.items())
    return Line(head.text, url, tuple(others))


def cell(name: str, value: Any) -> Cell:
    if value is None:
        return Cell("-", name in NUMBERS)
    return Cell(WRITTEN[name](value) if name in WRITTEN else str(value), name in NUMBERS or isinstance(value, int))


def csv_of(rows: Sequence[Row]) -> str:
    """With a heading, unless there is no row. Text that a spreadsheet would run is defused; numbers stay numbers."""
    out = StringIO()
    writer = csv.writer(out)
    if rows:
        writer.writerow(rows[0])
    writer.writerows([guarded(value) for value in row.values()] for row in rows)
    return out.getvalue()


def guarded(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return "" if value is None else value
