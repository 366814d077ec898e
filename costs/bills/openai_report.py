"""What OpenAI says that embeddings of a span cost: its usage and costs endpoints, read with an admin key.

Shapes: https://platform.openai.com/docs/api-reference/usage. Times are Unix seconds, amounts are numbers in USD, and a line
item is a model's name, then what was counted, with a comma between them. Usage comes by the day, hour or minute, cost by the
day only. They tell of the whole organisation, whoever used it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx

from costs.bills import asking
from costs.bills.values import DAY, HOUR, MINUTE, TOTAL, WIDTHS, Bill, Span, base_name
from costs.usage import Usage

PAGE = {DAY: 31, HOUR: 168, MINUTE: 1440}
Result = dict[str, Any]


def read(*, base_url: str, key: str, span: Span) -> Bill:
    """Raises ReportUnavailable."""
    headers = {"Authorization": f"Bearer {key}"}
    with asking.client(base_url=f"{base_url}/organization", headers=headers, span=span) as client:
        usage = usage_of(results(client, "/usage/embeddings", span, "model"))
        if not span.is_of_days:
            return Bill(usage, None)
        return Bill(usage, *amounts_of(results(client, "/costs", span, "line_item"), usage))


def results(client: httpx.Client, path: str, span: Span, group: str) -> Iterator[Result]:
    params: asking.Params = {
        "start_time": int(span.since.timestamp()),
        "end_time": int(span.until.timestamp()),
        "bucket_width": WIDTHS[span.width],
        "limit": PAGE[span.width],
        "group_by[]": group,
    }
    for bucket in asking.buckets(client, path, params):
        if span.holds(datetime.fromtimestamp(bucket["start_time"], UTC)):
            yield from bucket["results"]


def usage_of(found: Iterable[Result]) -> dict[str, Usage]:
    counts: dict[str, Usage] = defaultdict(Usage)
    for result in found:
        counts[base_name(result["model"])] += Usage(input_tokens=int(result["input_tokens"]))
    return {model: usage for model, usage in counts.items() if usage != Usage()}


def amounts_of(found: Iterable[Result], embedders: Collection[str]) -> tuple[dict[tuple[str, str], Decimal], Decimal]:
    """Charged for the models that embed, and for anything else. Raises ValueError for another currency."""
    amounts: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    other = Decimal(0)
    for result in found:
        amount = result["amount"]
        if amount["currency"].lower() != "usd":
            raise ValueError(f"an amount in {amount['currency']}")
        model = base_name((result["line_item"] or "").partition(",")[0].strip())
        usd = Decimal(str(amount["value"]))
        if model in embedders:
            amounts[model, TOTAL] += usd
        else:
            other += usd
    return dict(amounts), other
