"""Real calls to the sandbox, and what the application would book of them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
from django.db.models import Sum

from costs.bills.values import Bill, Span
from costs.ledger import Attempt, Booking, book, load_price_table
from costs.models import LedgerEntry
from costs.prices import cost
from costs.reconciling import Check
from costs.tests.factories import ledger_total
from costs.usage import KINDS, Usage

SONNET, HAIKU = "claude-sonnet-4-6", "claude-haiku-4-5"
VOYAGE, SMALL, RERANK = "voyage-3.5", "text-embedding-3-small", "rerank-v3.5"
BIG = "The on-call engineer is paged when two probes fail within five minutes. " * 400


@dataclass(frozen=True)
class Caller:
    """Calls the sandbox as a client without an SDK does."""

    sandbox_url: str

    def claude(self, *, model: str = SONNET, times: int = 2) -> list[Usage]:
        """The same long prompt, marked to be kept: the first call writes it, the others read it."""
        system = [
            {"type": "text", "text": f"{datetime.now(UTC)} {BIG}", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
        ]
        body = {
            "model": model,
            "max_tokens": 50,
            "system": system,
            "messages": [{"role": "user", "content": "Hello?"}],
        }
        return [self._claude(body) for _ in range(times)]

    def _claude(self, body: dict[str, Any]) -> Usage:
        told = self._post("/anthropic/v1/messages", body)["usage"]
        return Usage(
            told["input_tokens"],
            told["cache_creation"]["ephemeral_5m_input_tokens"],
            told["cache_creation"]["ephemeral_1h_input_tokens"],
            told["cache_read_input_tokens"],
            told["output_tokens"],
        )

    def voyage(self, text: str) -> Usage:
        told = self._post("/voyage/v1/embeddings", {"model": VOYAGE, "input": [text]})
        return Usage(told["usage"]["total_tokens"])

    def openai(self, text: str) -> Usage:
        told = self._post("/openai/v1/embeddings", {"model": SMALL, "input": [text]})
        return Usage(told["usage"]["total_tokens"])

    def cohere(self, text: str) -> Usage:
        told = self._post("/cohere/v2/rerank", {"model": RERANK, "query": text, "documents": ["One.", "Two."]})
        return Usage(search_units=told["meta"]["billed_units"]["search_units"])

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = httpx.post(f"{self.sandbox_url}{path}", json=body, headers={"x-api-key": "sk-paid"}, timeout=60)
        return answer.raise_for_status().json()


def booked(usage: Usage, *, model: str = SONNET, provider: str = "anthropic", **changes: Any) -> LedgerEntry:
    """An entry of now, priced by the table."""
    at = changes.pop("at", None) or datetime.now(UTC)
    dimensions = {name: changes.pop(name) for name in ("module", "corpus", "api_key_id") if name in changes}
    price = load_price_table().find(provider=provider, model=model, at=at)
    known: dict[str, Any] = {
        "at": at,
        "provider": provider,
        "model": model,
        "operation": "generate",
        "provider_mode": "simulated",
        "outcome": "ok",
        "usage": usage,
        "cost_usd": cost(usage=usage, price=price) if price else None,
        "price_id": price.id if price else None,
        "latency_ms": 1.0,
    }
    number = LedgerEntry.objects.calls().count()
    book(attempts=[Attempt(**(known | changes))], booking=Booking("t", "ask", **dimensions), first=number)
    return LedgerEntry.objects.calls().get(attempt=number)


def guessed(usage: Usage, **changes: Any) -> LedgerEntry:
    """A call of which the provider did not say what it counted."""
    known: dict[str, Any] = {"estimated": True, "outcome": "provider_timeout"} | changes
    return booked(usage, **known)


def today() -> Span:
    return Span.of_day(datetime.now(UTC).date())


def check(bill: Bill, **changes: Any) -> Check:
    known: dict[str, Any] = {"provider": "anthropic", "mode": "simulated", "span": today(), "bill": bill}
    return Check(**(known | changes))


def ledger_usage() -> Usage:
    sums = LedgerEntry.objects.aggregate(**{f"{kind}_sum": Sum(kind) for kind in KINDS})
    return Usage(*(sums[f"{kind}_sum"] or 0 for kind in KINDS))


def bill_sums(sandbox_url: str) -> tuple[Usage, Decimal]:
    """What the sandbox has on its own bill, of all providers."""
    report = httpx.get(f"{sandbox_url}/_bill").raise_for_status().json()
    total = Usage()
    for entry in report["entries"]:
        told = entry["usage"]
        total += Usage(
            told.get("input_tokens", 0) + told.get("total_tokens", 0),
            told.get("cache_write_5m_tokens", 0),
            told.get("cache_write_1h_tokens", 0),
            told.get("cache_read_tokens", 0),
            told.get("output_tokens", 0),
            told.get("search_units", 0),
        )
    return total, Decimal(report["total_usd"])


def ledger_sums() -> tuple[Usage, Decimal]:
    """Of all rows, adjustments and all."""
    return ledger_usage(), ledger_total()
