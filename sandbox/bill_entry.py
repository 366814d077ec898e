"""One line of the sandbox's bill."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Entry:
    """One billed answer. `key` is the last four characters of the API key."""

    at: datetime
    provider: str
    model: str
    operation: str
    key: str
    request_id: str
    usage: dict[str, int]
    cost_usd: Decimal
