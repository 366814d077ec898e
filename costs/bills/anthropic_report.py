"""What Anthropic says that a span cost: its usage and cost reports, read with an admin key.

Shapes: https://platform.claude.com/docs/en/api/admin/cost_report and .../usage_report. Times are UTC, amounts are decimal
strings in cents. Usage comes by the day, hour or minute, cost by the day only. They tell of the whole organisation, whoever
used it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx

from costs.bills import asking
from costs.bills.values import DAY, HOUR, MINUTE, WIDTHS, Bill, Span, base_name
from costs.usage import Usage

TOKEN_KINDS = {
    "uncached_input_tokens": "input_tokens",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write_5m",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h",
    "cache_read_input_tokens": "cache_read",
    "output_tokens": "output_tokens",
}
"""The provider's names of the parts of a usage, and ours."""
PAGE = {DAY: 31, HOUR: 168, MINUTE: 1440}
VERSION = "2023-06-01"
CENT = Decimal("0.01")
Result = dict[str, Any]


def read(*, base_url: str, key: str, span: Span) -> Bill:
    """Raises ReportUnavailable."""
    headers = {"x-api-key": key, "anthropic-version": VERSION}
    with asking.client(base_url=f"{base_url}/v1/organizations", headers=headers, span=span) as client:
        usage = usage_of(results(client, "/usage_report/messages", span, "model"))
        if not span.is_of_days:
            return Bill(usage, None)
        return Bill(usage, *amounts_of(results(client, "/cost_report", span, "description")))


def results(client: httpx.Client, path: str, span: Span, group: str) -> Iterator[Result]:
    params: asking.Params = {
        "starting_at": rfc3339(span.since),
        "ending_at": rfc3339(span.until),
        "bucket_width": WIDTHS[span.width],
        "limit": PAGE[span.width],
        "group_by[]": group,
    }
    for bucket in asking.buckets(client, path, params):
        if span.holds(datetime.fromisoformat(bucket["starting_at"])):
            yield from bucket["results"]


def rfc3339(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def usage_of(found: Iterable[Result]) -> dict[str, Usage]:
    counts: dict[str, Usage] = defaultdict(Usage)
    for result in found:
        counts[base_name(result["model"])] += Usage(
            **{ours: int(value_at(result, theirs)) for theirs, ours in TOKEN_KINDS.items()}
        )
    return {model: usage for model, usage in counts.items() if usage != Usage()}


def value_at(result: Result, path: str) -> Any:
    value: Any = result
    for step in path.split("."):
        value = value[step]
    return value


def amounts_of(found: Iterable[Result]) -> tuple[dict[tuple[str, str], Decimal], Decimal]:
    amounts: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    other = Decimal(0)
    for result in found:
        usd = Decimal(result["amount"]) * CENT
        if result["cost_type"] == "tokens":
            amounts[base_name(result["model"]), TOKEN_KINDS[result["token_type"]]] += usd
        else:
            other += usd
    return dict(amounts), other
