"""Anthropic's admin reports, made from the bill: `GET /v1/organizations/cost_report` and `/usage_report/messages`."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from aiohttp import web

from sandbox import price_list
from sandbox.bill import money
from sandbox.bill_entry import Entry
from sandbox.buckets import WIDTHS, Buckets, limit_in, snapped, width_in
from sandbox.call import Call
from sandbox.vendors import Refusal

LIMITS = {"1m": (60, 1440), "1h": (24, 168), "1d": (7, 31)}
"""Buckets in a page: by default, and at most."""
TOKEN_TYPES = {
    "input": "uncached_input_tokens",
    "cache_write_5m": "cache_creation.ephemeral_5m_input_tokens",
    "cache_write_1h": "cache_creation.ephemeral_1h_input_tokens",
    "cache_read": "cache_read_input_tokens",
    "output": "output_tokens",
}
NOT_GROUPED = ("api_key_id", "workspace_id", "service_tier", "context_window")
Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """The query of either report."""

    buckets: Buckets
    groups: frozenset[str]
    models: frozenset[str]


async def cost_report(call: Call) -> web.StreamResponse:
    asked = asked_in(call, widths=("1d",), groups={"workspace_id", "description"})
    return await call.deliver(report(call, asked, costs))


async def usage_report(call: Call) -> web.StreamResponse:
    asked = asked_in(call, widths=tuple(WIDTHS), groups={"model", *NOT_GROUPED})
    return await call.deliver(report(call, asked, usages))


def asked_in(call: Call, *, widths: tuple[str, ...], groups: set[str]) -> Asked:
    """Raises Refusal(400) for what the real API refuses as well."""
    query = call.request.query
    name = width_in(query, known=widths)
    given = frozenset(query.getall("group_by[]", []))
    if not given <= groups:
        raise Refusal(400, f"group_by: Input should be any of {', '.join(sorted(groups))}")
    if "starting_at" not in query:
        raise Refusal(400, "starting_at: Field required")
    default, most = LIMITS[name]
    limit, width = limit_in(query, default=default, most=most), WIDTHS[name]
    now = snapped(call.sandbox.clock.bill_moment(), width) + width
    end = moment("ending_at", query["ending_at"]) if "ending_at" in query else now
    start = snapped(moment("starting_at", query.get("page", query["starting_at"])), width)
    return Asked(Buckets(start, end, width, limit), given, frozenset(query.getall("models[]", [])))


def moment(name: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal(400, f"{name}: Input should be a valid datetime") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def report(call: Call, asked: Asked, results: Callable[[Asked, list[Entry]], list[Result]]) -> dict[str, Any]:
    data = [
        {"starting_at": rfc3339(start), "ending_at": rfc3339(end), "results": results(asked, entries)}
        for start, end, entries in asked.buckets.filled(call.sandbox.bill, "anthropic")
    ]
    _, following = asked.buckets.page()
    return {"data": data, "has_more": following is not None, "next_page": rfc3339(following) if following else None}


def rfc3339(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def usage_of(entry: Entry) -> price_list.ChatUsage:
    return price_list.ChatUsage(
        entry.usage["input_tokens"],
        entry.usage["cache_write_5m_tokens"],
        entry.usage["cache_write_1h_tokens"],
        entry.usage["cache_read_tokens"],
        entry.usage["output_tokens"],
    )


def costs(asked: Asked, entries: list[Entry]) -> list[Result]:
    """By model and kind of token when grouped by description, otherwise one sum. Cents, as decimal strings."""
    amounts: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for entry in entries:
        for kind, usd in price_list.chat_costs(entry.model, usage_of(entry), at=entry.at).items():
            amounts[(entry.model, kind) if "description" in asked.groups else ("", "")] += usd
    return [cost_item(model, kind, usd) for (model, kind), usd in sorted(amounts.items()) if usd]


def cost_item(model: str, kind: str, usd: Decimal) -> Result:
    named = bool(model)
    return {
        "amount": money(usd * 100),
        "currency": "USD",
        "cost_type": "tokens" if named else None,
        "description": f"{model} Usage - {TOKEN_TYPES[kind]}" if named else None,
        "model": model if named else None,
        "token_type": TOKEN_TYPES[kind] if named else None,
        "service_tier": "standard" if named else None,
        "context_window": "0-200k" if named else None,
        "workspace_id": None,
    }


def usages(asked: Asked, entries: list[Entry]) -> list[Result]:
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for entry in entries:
        if asked.models and entry.model not in asked.models:
            continue
        for name, tokens in entry.usage.items():
            sums[entry.model if "model" in asked.groups else ""][name] += tokens
    return [usage_item(model, sums[model]) for model in sorted(sums)]


def usage_item(model: str, tokens: dict[str, int]) -> Result:
    return {
        "model": model or None,
        "uncached_input_tokens": tokens["input_tokens"],
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens["cache_write_5m_tokens"],
            "ephemeral_1h_input_tokens": tokens["cache_write_1h_tokens"],
        },
        "cache_read_input_tokens": tokens["cache_read_tokens"],
        "output_tokens": tokens["output_tokens"],
        "server_tool_use": {"web_search_requests": 0},
        **dict.fromkeys(NOT_GROUPED),
    }
