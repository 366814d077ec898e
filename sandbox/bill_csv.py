"""`GET /_bill.csv`: the bill as somebody would export it from a provider's pages, by provider, model and bucket of time."""

import csv
import io
from collections import defaultdict
from datetime import datetime
from decimal import Decimal

from aiohttp import web

from sandbox.bill import money
from sandbox.bill_entry import Entry
from sandbox.buckets import WIDTHS, snapped
from sandbox.control import BadOrder
from sandbox.state import SANDBOX
from sandbox.vendors import VENDORS

COUNTED_AS = {
    "input_tokens": ("input_tokens", "total_tokens"),
    "cache_write_5m": ("cache_write_5m_tokens",),
    "cache_write_1h": ("cache_write_1h_tokens",),
    "cache_read": ("cache_read_tokens",),
    "output_tokens": ("output_tokens",),
    "search_units": ("search_units",),
}
"""The columns, and what they are called on the bill."""


async def show(request: web.Request) -> web.Response:
    """`provider` may be repeated, none is all; `bucket_width` is 1d, 1h or 1m."""
    wanted, width = request.query.getall("provider", list(VENDORS)), request.query.get("bucket_width", "1d")
    if width not in WIDTHS or not set(wanted) <= set(VENDORS):
        raise BadOrder(f"provider is any of {', '.join(VENDORS)}, bucket_width one of {', '.join(WIDTHS)}")
    bill = request.app[SANDBOX].bill
    held: dict[tuple[datetime, str, str], list[Entry]] = defaultdict(list)
    for provider in wanted:
        for entry in bill.kept(provider):
            held[snapped(entry.at, WIDTHS[width]), provider, entry.model].append(entry)
    return web.Response(text=table(held, by_day=width == "1d"), content_type="text/csv", charset="utf-8")


def table(held: dict[tuple[datetime, str, str], list[Entry]], *, by_day: bool) -> str:
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(("at", "provider", "model", *COUNTED_AS, "cost_usd"))
    for (at, provider, model), entries in sorted(held.items()):
        counts = (sum(entry.usage.get(name, 0) for entry in entries for name in names) for names in COUNTED_AS.values())
        usd = sum((entry.cost_usd for entry in entries), Decimal(0))
        shown = f"{at:%Y-%m-%d}" if by_day else f"{at:%Y-%m-%dT%H:%M:%SZ}"
        rows.writerow((shown, provider, model, *counts, money(usd)))
    return out.getvalue()
