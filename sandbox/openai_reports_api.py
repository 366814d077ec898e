"""OpenAI's admin reports, made from the bill: `GET /v1/organization/usage/embeddings` and `/v1/organization/costs`."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from aiohttp import web

from sandbox.bill_entry import Entry
from sandbox.buckets import WIDTHS, Buckets, limit_in, snapped, width_in
from sandbox.call import Call
from sandbox.vendors import Refusal

USAGE_LIMITS = {"1m": (60, 1440), "1h": (24, 168), "1d": (7, 31)}
COST_LIMITS = {"1d": (7, 180)}
"""Buckets in a page: by default, and at most."""
USAGE_GROUPS = frozenset({"project_id", "user_id", "api_key_id", "model"})
COST_GROUPS = frozenset({"project_id", "user_id", "line_item", "api_key_id", "api_source"})
LATEST = 253_402_300_799
Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """The query of either report. `models`: the models or line items that are wanted; empty for all."""

    buckets: Buckets
    groups: frozenset[str]
    models: frozenset[str]


async def usage_report(call: Call) -> web.StreamResponse:
    asked = asked_in(call, limits=USAGE_LIMITS, groups=USAGE_GROUPS, only="models")
    return await deliver(call, asked, [usages(asked, entries) for _, _, entries in filled(call, asked)])


async def cost_report(call: Call) -> web.StreamResponse:
    asked = asked_in(call, limits=COST_LIMITS, groups=COST_GROUPS, only="line_items")
    return await deliver(call, asked, [costs(asked, entries) for _, _, entries in filled(call, asked)])


def filled(call: Call, asked: Asked) -> list[tuple[datetime, datetime, list[Entry]]]:
    return list(asked.buckets.filled(call.sandbox.bill, "openai"))


def asked_in(call: Call, *, limits: dict[str, tuple[int, int]], groups: frozenset[str], only: str) -> Asked:
    """Raises Refusal(400) for what the real API refuses as well."""
    query = call.request.query
    name = width_in(query, known=tuple(limits))
    width, (default, most) = WIDTHS[name], limits[name]
    given = frozenset(listed(call, "group_by"))
    if not given <= groups:
        raise Refusal(400, f"Invalid value for group_by: supported are {', '.join(sorted(groups))}.")
    if "start_time" not in query:
        raise Refusal(400, "Missing required parameter: 'start_time'.")
    start = snapped(moment("start_time", query.get("page", query["start_time"])), width)
    now = snapped(call.sandbox.clock.bill_moment(), width) + width
    end = moment("end_time", query["end_time"]) if "end_time" in query else now
    limit = limit_in(query, default=default, most=most)
    return Asked(Buckets(start, end, width, limit), given, frozenset(listed(call, only)))


def listed(call: Call, name: str) -> list[str]:
    """A list in the query, in either of the usual spellings."""
    query = call.request.query
    return [*query.getall(name, []), *query.getall(f"{name}[]", [])]


def moment(name: str, text: str) -> datetime:
    if not text.isdecimal() or int(text) > LATEST:
        raise Refusal(400, f"Invalid type for '{name}': expected Unix seconds.")
    return datetime.fromtimestamp(int(text), UTC)


async def deliver(call: Call, asked: Asked, results: list[list[Result]]) -> web.StreamResponse:
    shown, following = asked.buckets.page()
    data = [
        {"object": "bucket", "start_time": seconds(start), "end_time": seconds(end), "results": found}
        for (start, end), found in zip(shown, results, strict=True)
    ]
    more = {"has_more": following is not None, "next_page": str(seconds(following)) if following else None}
    return await call.deliver({"object": "page", "data": data, **more})


def seconds(at: datetime) -> int:
    return int(at.timestamp())


def usages(asked: Asked, entries: list[Entry]) -> list[Result]:
    sums: dict[str, list[int]] = defaultdict(list)
    for entry in entries:
        if not asked.models or entry.model in asked.models:
            sums[entry.model if "model" in asked.groups else ""].append(entry.usage["total_tokens"])
    return [
        {
            "object": "organization.usage.embeddings.result",
            "input_tokens": sum(counts),
            "num_model_requests": len(counts),
            "model": model or None,
            **dict.fromkeys(("project_id", "user_id", "api_key_id")),
        }
        for model, counts in sorted(sums.items())
    ]


def costs(asked: Asked, entries: list[Entry]) -> list[Result]:
    """By line item when grouped so, otherwise one sum. USD, as numbers."""
    split = "line_item" in asked.groups
    amounts: dict[str, Decimal] = defaultdict(Decimal)
    counts: dict[str, int] = defaultdict(int)
    for entry in entries:
        item = f"{entry.model}, input_tokens"
        if not asked.models or item in asked.models:
            amounts[item if split else ""] += entry.cost_usd
            counts[item if split else ""] += entry.usage["total_tokens"]
    return [
        {
            "object": "organization.costs.result",
            "amount": {"value": float(usd), "currency": "usd"},
            "line_item": item or None,
            "quantity": counts[item] if split else None,
            "quantity_unit": "tokens" if split else None,
            **dict.fromkeys(("project_id", "user_id", "api_key_id", "api_source")),
        }
        for item, usd in sorted(amounts.items())
    ]
