"""The cost page as it is shown: charts, tables with links to the traces behind them, and CSV. No SQL, no HTML."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from io import StringIO
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from costs.windows import midnight
from rag.charts import LineChart, line_chart
from rag.cost_rows import NONE

TRACE_COLUMNS = {"query_type": "transform"}
FORMULA = ("=", "+", "-", "@", "\t", "\r")
Report = Mapping[str, Any]
Row = Mapping[str, Any]


def local(moment: str) -> str:
    return f"{timezone.localtime(datetime.fromisoformat(moment)):%Y-%m-%d %H:%M}"


TITLES = {
    "by_model": "By model",
    "by_module": "By module",
    "by_query_type": "By query type",
    "by_key": "By API key",
    "by_prompt_version": "By prompt version",
    "by_kind": "By kind",
}
NOTES = {
    "by_model": "A question counts at every model that it called.",
    "by_query_type": f"“{NONE}” is what no question asked for, such as ingests and judging.",
    "by_key": f"“{NONE}” is staff, evaluations and jobs.",
}
WRITTEN: Mapping[str, Callable[[Any], str]] = {
    "spend_usd": lambda value: f"${value:,.4f}",
    "avoided_usd": lambda value: f"${value:,.4f}",
    "prompt_saved_usd": lambda value: f"${value:,.4f}",
    "cost_per_query_usd": lambda value: f"${value:,.6f}",
    "prompt_hit_rate": lambda value: f"{value:.1%}",
    "answer_hit_rate": lambda value: f"{value:.1%}",
    "partial": lambda value: "so far" if value else "",
    "started_at": local,
    "ended_at": local,
    **dict.fromkeys(("questions", "count", "failures"), lambda value: f"{value:,}"),
    **dict.fromkeys(("p50", "p95", "p99"), lambda value: f"{value:,.0f}"),
}
HEADINGS = {
    "spend_usd": "spend",
    "cost_per_query_usd": "per question",
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
    """A row: its first cell, where that leads (or nothing), its share of the largest spend in per cent, the other cells."""

    head: str
    url: str
    share: float | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    title: str
    note: str
    headings: tuple[Cell, ...]
    lines: tuple[Line, ...]


def rows_of(report: Report, name: str) -> Sequence[Row] | None:
    """The rows of a table by its name; None: there is no such table."""
    if name == "latency":
        rows: Sequence[Row] = report["latency_ms"]["by_stage"]
        return rows
    return report[name] if name in (*TITLES, "daily", "degraded", "outages") else None


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


def charts(report: Report, *, may_see_traces: bool) -> list[LineChart]:
    days = report["daily"]
    to_day = links(report, "daily", may_see_traces)

    def of(name: str) -> list[float | None]:
        return [day[name] for day in days]

    def chart(title: str, form: str, top: float | None = None, **series: Sequence[float | None]) -> LineChart:
        return line_chart(
            title=title,
            labels=[day["date"] for day in days],
            series={name.replace("_", " "): values for name, values in series.items()},
            form=form,
            urls=[to_day(day) for day in days],
            last_is_partial=days[-1]["partial"],
            top=top,
        )

    saved: list[float | None] = [day["avoided_usd"] + day["prompt_saved_usd"] for day in days]
    return [
        chart("Spend by day", "${:,.4f}", spend=of("spend_usd"), saved_by_the_caches=saved),
        chart("Cost per question", "${:,.6f}", cost_per_question=of("cost_per_query_usd")),
        chart("Cache hit rates", "{:.0%}", 1.0, prompt_cache=of("prompt_hit_rate"), answer_cache=of("answer_hit_rate")),
    ]


def split_tables(report: Report, *, may_see_traces: bool) -> list[Table]:
    return [
        table(name, title, report[name], links(report, name, may_see_traces), NOTES.get(name, ""))
        for name, title in TITLES.items()
    ]


def plain_tables(report: Report, *, may_see_traces: bool) -> dict[str, Table]:
    """The days, the latencies, what was degraded, and the outages."""
    latency = f"Percentiles are exact. Rows named “all” mix {report['latency_ms']['mixes']}."
    to_day = links(report, "daily", may_see_traces)
    return {
        "daily": table("daily", "Days", report["daily"], to_day, f"Days are those of {report['time_zone']}."),
        "latency": table("latency", "Latency", report["latency_ms"]["by_stage"], no_link, latency),
        "degraded": table("degraded", "Degraded answers", report["degraded"], no_link),
        "outages": table("outages", "Outages", report["outages"], no_link),
    }


def table(name: str, title: str, rows: Sequence[Row], link: Callable[[Row], str], note: str = "") -> Table:
    largest = max((row["spend_usd"] for row in rows if "spend_usd" in row), default=0.0)
    columns = rows[0] if rows else ()
    headings = tuple(Cell(HEADINGS.get(each, each.replace("_", " ")), each in WRITTEN) for each in columns)
    return Table(name, title, note, headings, tuple(line(row, link(row), largest) for row in rows))


def line(row: Row, url: str, largest: float) -> Line:
    head, *others = row.items()
    share = round(max(row["spend_usd"], 0.0) / largest * 100, 2) if largest > 0 and "spend_usd" in row else None
    return Line(str(head[1]), url, share, tuple(cell(name, value) for name, value in others))


def cell(name: str, value: Any) -> Cell:
    if value is None:
        return Cell("-", name in WRITTEN)
    return Cell(WRITTEN[name](value) if name in WRITTEN else str(value), name in WRITTEN)


def no_link(row: Row) -> str:
    return ""


def links(report: Report, name: str, may_see_traces: bool) -> Callable[[Row], str]:
    """From a row to the traces behind it; from a model to its calls in the ledger. `none` leads nowhere."""
    traces, ledger = reverse("admin:rag_tracesummary_changelist"), reverse("admin:costs_ledgerentry_changelist")
    first, last = report["daily"][0]["date"], report["daily"][-1]["date"]
    chosen = {column: report[column] for column in ("provider_mode", "module", "corpus") if report[column]}
    kind = {"kind": report["kinds"][0]} if report["kinds"] else {}

    def link(row: Row) -> str:
        column, value = next(iter(row.items()))
        if value == NONE:
            return ""
        if name == "by_model":
            mode = {"provider_mode__exact": report["provider_mode"]}
            return f"{ledger}?{urlencode(between('at', first, last) | mode | kind | {'q': value})}"
        if not may_see_traces:
            return ""
        if name == "daily":
            return f"{traces}?{urlencode(between('timestamp', value, value) | chosen | kind)}"
        part = {TRACE_COLUMNS.get(column, column): value}
        return f"{traces}?{urlencode(between('timestamp', first, last) | chosen | kind | part)}"

    return link


def between(column: str, first: str, last: str) -> dict[str, str]:
    """From the beginning of a day to the end of another, as conditions of an admin list."""
    zone = timezone.get_default_timezone()
    since = midnight(date.fromisoformat(first), zone)
    until = midnight(date.fromisoformat(last) + timedelta(days=1), zone)
    return {f"{column}__gte": since.isoformat(), f"{column}__lt": until.isoformat()}
