"""The cost page as it is shown: panels with a chart, and the table behind it. No SQL, no HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag.charts import Chart, Series, stack
from rag.cost_links import links
from rag.cost_report import NONE, SPLITS
from rag.cost_tables import Link, Table, table
from rag.latencies import STAGES

Report = Mapping[str, Any]
Row = Mapping[str, Any]
SHOWN_BARS = 10
PERCENTILES = ("p50", "p95", "p99")
TITLES = {
    "by_model": "By model",
    "by_module": "By module",
    "by_query_type": "By query type",
    "by_key": "Top API keys",
    "by_prompt_version": "By prompt version",
    "by_kind": "By kind",
}
NOTES = {
    "per_query": "What lies between the lines is what the caches saved.",
    "hit_rates": "Prompt cache: of the generations, those that read from it. "
    "Answer cache: of the questions that could be answered from it, those that were.",
    "by_model": "Counted in calls: a question makes several.",
    "by_query_type": f"“{NONE}” is what no question asked for, such as ingests and judging.",
    "by_key": f"“{NONE}” is staff, evaluations and jobs.",
    "by_prompt_version": f"“{NONE}” is what needs no answer prompt, such as ingests.",
    "latency_daily": "The table tells hits, degraded and full answers apart.",
    "prompt_versions": "Questions for each version of the answer prompt.",
    "degraded_daily": "One answer may be degraded in several ways.",
    "by_status": "By the HTTP status that the client got.",
}
NAMED = (
    *("daily", "hourly", *SPLITS, "prompt_versions", "latency_daily"),
    *("degraded", "degraded_daily", "by_status", "outages"),
)


@dataclass(frozen=True, slots=True)
class Panel:
    """`is_open`: its table is short enough to be shown at once."""

    table: Table
    chart: Chart | None = None
    is_open: bool = False


def rows_of(report: Report, name: str) -> Sequence[Row] | None:
    """The rows of a table by its name; None: there is no such table."""
    if name == "latency":
        rows: Sequence[Row] = report["latency_ms"]["by_stage"]
        return rows
    return report[name] if name in NAMED else None


@dataclass(frozen=True, slots=True)
class Timed:
    """The rows of a report by the day, or by the hour where it has hours."""

    rows: Sequence[Row]
    at: str
    link: Link

    def column(self, name: str) -> list[float | None]:
        return [row[name] for row in self.rows]

    def panel(
        self, key: str, title: str, unit: str, series: Sequence[Series], columns: Sequence[str], note: str = ""
    ) -> Panel:
        labels, urls = [shortened(row[self.at]) for row in self.rows], [self.link(row) for row in self.rows]
        partial = bool(self.rows) and self.rows[-1]["partial"]
        name = "hourly" if self.at == "hour" else "daily"
        shown = (self.at, *columns, "partial")
        told = table(name, title, self.rows, self.link, note=note or NOTES.get(key, ""), columns=shown)
        return Panel(told, Chart(key, title, "line", unit, labels, series, urls, partial))


def timed(report: Report, *, may_see_traces: bool) -> Timed:
    link = links(report, may_see_traces=may_see_traces)
    if report["hourly"]:
        return Timed(report["hourly"], "hour", link)
    return Timed(report["daily"], "date", link)


def over_time(report: Report, *, may_see_traces: bool) -> list[Panel]:
    """Money, caches, and how long answers took."""
    told = timed(report, may_see_traces=may_see_traces)
    of = told.column
    saved = [row["avoided_usd"] + row["prompt_saved_usd"] for row in told.rows]
    spend = [Series("spend", of("spend_usd")), Series("saved by the caches", saved, dashed=True)]
    per_query = [
        Series("cost per question", of("cost_per_query_usd")),
        Series("without the caches", of("uncached_per_query_usd"), dashed=True),
    ]
    hit_rates = [Series("prompt cache", of("prompt_hit_rate")), Series("answer cache", of("answer_hit_rate"))]
    days = f"Days are those of {report['time_zone']}."
    saved_columns = ("spend_usd", "avoided_usd", "prompt_saved_usd", "questions")
    query_columns = ("cost_per_query_usd", "uncached_per_query_usd", "questions")
    rate_columns = ("prompt_hit_rate", "answer_hit_rate", "questions")
    return [
        told.panel("spend", "Spend over time", "usd", spend, saved_columns, days),
        told.panel("per_query", "Cost per question", "usd_fine", per_query, query_columns),
        told.panel("hit_rates", "Cache hit rates", "share", hit_rates, rate_columns),
        latency_over_time(report, told.link),
    ]


def shortened(label: str) -> str:
    """A day, or the hour of it, as an axis has room for."""
    return label[5:16].replace("T", " ") if "T" in label else label[5:]


def splits(report: Report, *, may_see_traces: bool) -> list[Panel]:
    """Where the money went: a bar for each value, the dearest first."""
    link = links(report, may_see_traces=may_see_traces)
    return [split(report, name, title, link) for name, title in TITLES.items()]


def split(report: Report, name: str, title: str, link: Link) -> Panel:
    rows, top = report[name], report[name][:SHOWN_BARS]
    labels = [str(row.get("name") or row[SPLITS[name]]) for row in top]
    spend = Series("spend", [row["spend_usd"] for row in top])
    chart = Chart(name, title, "bars", "usd", labels, [spend], [link(row) for row in top])
    return Panel(table(name, title, rows, link, note=NOTES.get(name, "")), chart, is_open=True)


def latency_over_time(report: Report, link: Link) -> Panel:
    """Of full answers; the table also tells of the others, each apart."""
    full = {row["date"]: row for row in report["latency_daily"] if row["answers"] == "full"}
    days = [row["date"] for row in report["daily"]]
    series = [Series(name, [full[day][name] if day in full else None for day in days]) for name in PERCENTILES]
    urls = [link({"date": day, "answers": "full"}) for day in days]
    labels, partial = [shortened(day) for day in days], report["daily"][-1]["partial"]
    over = Chart("latency_daily", "Latency of full answers over time", "line", "ms", labels, series, urls, partial)
    note = f"{NOTES[over.key]} Percentiles are {report['latency_ms']['precision']}."
    return Panel(table(over.key, over.title, report["latency_daily"], link, note=note), over)


def latency_by_stage(report: Report, link: Link) -> Panel:
    full = {row["stage"]: row for row in report["latency_ms"]["by_stage"] if row["answers"] == "full"}
    stages = [stage for stage in STAGES if stage in full]
    series = [Series(name, [full[stage][name] for stage in stages]) for name in PERCENTILES]
    staged = Chart("latency", "Latency of full answers by stage", "columns", "ms", stages, series)
    note = f"The scale is logarithmic. In the table, rows named “all” mix {report['latency_ms']['mixes']}."
    return Panel(table(staged.key, staged.title, report["latency_ms"]["by_stage"], link, note=note), staged)


def quality(report: Report, *, may_see_traces: bool) -> list[Panel]:
    """Latency by stage, prompt versions, degraded answers, outcomes and outages."""
    link = links(report, may_see_traces=may_see_traces)
    return [
        latency_by_stage(report, link),
        stacked(report, "prompt_versions", "Prompt versions over time", ("prompt_version", "questions"), link),
        stacked(report, "degraded_daily", "Degraded answers over time", ("degraded", "answers"), link),
        listed(report, "by_status", "Outcomes", link),
        listed(report, "degraded", "Degraded answers", link),
        listed(report, "outages", "Outages", lambda row: ""),
    ]


def stacked(report: Report, name: str, title: str, columns: tuple[str, str], link: Link) -> Panel:
    """How many of each kind there were, day by day."""
    rows, days = report[name], [row["date"] for row in report["daily"]]
    named, value = columns
    series = [
        Series(each.name, each.values, [link({"date": day, named: each.name}) for day in days])
        for each in stack(rows, days, at="date", named=named, value=value)
    ]
    labels, partial = [shortened(day) for day in days], report["daily"][-1]["partial"]
    chart = Chart(name, title, "stack", "count", labels, series, partial=partial)
    return Panel(table(name, title, rows, link, note=NOTES[name]), chart)


def listed(report: Report, name: str, title: str, link: Link) -> Panel:
    return Panel(table(name, title, report[name], link, note=NOTES.get(name, "")), is_open=True)


def typical(report: Report) -> Row | None:
    """The latency of full answers, if there were any."""
    rows = report["latency_ms"]["by_stage"]
    return next((row for row in rows if (row["answers"], row["stage"]) == ("full", "total")), None)
