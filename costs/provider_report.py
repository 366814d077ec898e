"""What Anthropic says that a day cost: its usage and cost reports, read with an admin key.

Shapes: https://platform.claude.com/docs/en/api/admin/cost_report and .../usage_report. Days are UTC, amounts are decimal
strings in cents, and both reports come in pages. They tell of the whole organisation, whoever used it.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import httpx

TOKEN_KINDS = {
    "uncached_input_tokens": "input_tokens",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write_5m",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h",
    "cache_read_input_tokens": "cache_read",
    "output_tokens": "output_tokens",
}
"""The provider's names of the parts of a usage, and ours."""
DATED = re.compile(r"-\d{8}$")
VERSION = "2023-06-01"
TIMEOUT_S = 30
CENT = Decimal("0.01")


class ReportUnavailable(Exception):
    """The provider's report cannot be had; the message says why."""


@dataclass(frozen=True, slots=True)
class ProviderDay:
    """By model and kind of token: how many were counted, and USD charged. `other_usd`: what was charged for anything else."""

    tokens: Mapping[tuple[str, str], int]
    usd: Mapping[tuple[str, str], Decimal]
    other_usd: Decimal


def provider_day(*, base_url: str, admin_key: str, day: date) -> ProviderDay:
    """Raises ReportUnavailable."""
    with httpx.Client(
        base_url=f"{base_url}/v1/organizations",
        headers={"x-api-key": admin_key, "anthropic-version": VERSION},
        timeout=TIMEOUT_S,
    ) as client:
        try:
            usage = list(results(client, "/usage_report/messages", day, "model"))
            charged = list(results(client, "/cost_report", day, "description"))
            return ProviderDay(tokens_of(usage), *amounts_of(charged))
        except httpx.HTTPStatusError as error:
            told = f"{error.response.status_code} {error.response.text[:200]}"
            raise ReportUnavailable(f"the provider refuses the report of {day}: {told}") from error
        except httpx.HTTPError as error:
            raise ReportUnavailable(f"the provider cannot be asked: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
            raise ReportUnavailable(f"the report of {day} is not of the shape that is known: {error!r}") from error


def results(client: httpx.Client, path: str, day: date, group: str) -> Iterator[dict[str, Any]]:
    """Every result of the day, page by page."""
    start = datetime.combine(day, time(0), UTC)
    asked = {"starting_at": rfc3339(start), "ending_at": rfc3339(start + timedelta(days=1)), "bucket_width": "1d"}
    page: dict[str, str] = {}
    while True:
        response = client.get(path, params={**asked, "group_by[]": group, **page}).raise_for_status()
        report = response.json()
        for bucket in report["data"]:
            if datetime.fromisoformat(bucket["starting_at"]) == start:
                yield from bucket["results"]
        if not report["has_more"]:
            return
        page = {"page": report["next_page"]}


def rfc3339(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def tokens_of(found: list[dict[str, Any]]) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for result in found:
        for theirs, ours in TOKEN_KINDS.items():
            value: Any = result
            for step in theirs.split("."):
                value = value[step]
            counts[base_name(result["model"]), ours] += int(value)
    return {key: count for key, count in counts.items() if count}


def amounts_of(found: list[dict[str, Any]]) -> tuple[dict[tuple[str, str], Decimal], Decimal]:
    amounts: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    other = Decimal(0)
    for result in found:
        usd = Decimal(result["amount"]) * CENT
        if result["cost_type"] == "tokens":
            amounts[base_name(result["model"]), TOKEN_KINDS[result["token_type"]]] += usd
        else:
            other += usd
    return dict(amounts), other


def base_name(model: str) -> str:
    """Without the date that the provider adds to the name of a snapshot."""
    return DATED.sub("", model)
