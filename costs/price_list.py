"""The shipped price list: one JSON file, installed once by migration, corrected by new rows in the admin."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

PRICE_LIST = Path(__file__).with_name("price_list.json")
RATES = (
    "input_usd",
    "cache_write_5m_usd",
    "cache_write_1h_usd",
    "cache_read_usd",
    "output_usd",
    "search_usd",
    "tier_factor",
    "tokens_factor",
)


def read_price_list(path: Path = PRICE_LIST) -> list[dict[str, Any]]:
    """Rows as keyword arguments of `ModelPrice`; rates are Decimal, dates are midnight UTC."""
    return [_row(entry) for entry in json.loads(path.read_text("utf-8"), parse_float=Decimal)]


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    day = datetime.strptime(entry["effective_from"], "%Y-%m-%d").replace(tzinfo=UTC)
    return entry | {"effective_from": day} | {name: Decimal(entry[name]) for name in RATES if name in entry}
