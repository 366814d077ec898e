"""From a row of a report to what is behind it: the traces, or the calls in the ledger. Addresses only, no SQL."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from costs.windows import midnight
from rag.cost_report import NONE

Report = Mapping[str, Any]
Row = Mapping[str, Any]
FILTERS = {
    "query_type": "transform",
    "module": "module",
    "api_key_id": "api_key_id",
    "prompt_version": "prompt_version",
    "kind": "kind",
    "status": "status",
    "degraded": "degraded",
}
"""The columns of a report, and the conditions of the list of traces that they become."""
WAYS = {
    "hit": {"answer_cache": "hit", "degraded": "no"},
    "degraded": {"degraded": "any"},
    "full": {"answer_cache": "made", "degraded": "no"},
}


def links(report: Report, *, may_see_traces: bool) -> Callable[[Row], str]:
    """A model leads to its calls in the ledger, the rest to traces. What names nothing (`none`) leads nowhere."""

    def link(row: Row) -> str:
        if "model" in row:
            return calls_of(report, str(row["model"]))
        return traces_of(report, row) if may_see_traces else ""

    return link


def calls_of(report: Report, model: str) -> str:
    """The kind is that of the call: adjustments have one of their own."""
    chosen = {"provider_mode__exact": report["provider_mode"], "q": model}
    kind = {"kind": report["kinds"][0]} if report["kinds"] else {}
    span = between("at", report["since"], report["until"])
    return f"{reverse('admin:costs_ledgerentry_changelist')}?{urlencode(span | chosen | kind)}"


def traces_of(report: Report, row: Row) -> str:
    conditions = {name: row[column] for column, name in FILTERS.items() if column in row}
    if NONE in conditions.values():
        return ""
    if row.get("answers") in WAYS:
        conditions |= {"status": 200} | WAYS[row["answers"]]
    chosen = {column: report[column] for column in ("provider_mode", "module", "corpus") if report[column]}
    kind = {"kind": report["kinds"][0]} if report["kinds"] else {}
    span = between("timestamp", *times_of(report, row))
    return f"{reverse('admin:rag_tracesummary_changelist')}?{urlencode(span | chosen | kind | conditions)}"


def times_of(report: Report, row: Row) -> tuple[str, str]:
    """The hour or the day of a row, or all that the report is of."""
    if "hour" in row:
        starts_at = datetime.fromisoformat(row["hour"])
        return row["hour"], (starts_at + timedelta(hours=1)).isoformat()
    if "date" in row:
        zone, day = timezone.get_default_timezone(), date.fromisoformat(row["date"])
        return midnight(day, zone).isoformat(), midnight(day + timedelta(days=1), zone).isoformat()
    return report["since"], report["until"]


def between(column: str, since: str, until: str) -> dict[str, Any]:
    return {f"{column}__gte": since, f"{column}__lt": until}
