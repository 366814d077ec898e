"""Rows of this room, with what a test does not care about filled in."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from costs.models import Alert, AlertChannel, Budget, LedgerEntry

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def make_budget(**fields: Any) -> Budget:
    """A hard limit of 5.00 a day for the whole service, which replaces the one of the settings."""
    values = {"scope": "service", "target": "", "period": "day", "limit_usd": Decimal("5.00"), "hard": True} | fields
    Budget.objects.filter(scope=values["scope"], target=values["target"], period=values["period"]).delete()
    budget = Budget.objects.create(**values)
    Budget.objects.filter(pk=budget.pk).update(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Budget.objects.get(pk=budget.pk)


def spend(usd: str | None, *, at: datetime = NOON, **fields: Any) -> LedgerEntry:
    """An entry of the ledger; None: its price is not known."""
    values = {
        "at": at,
        "trace_id": uuid4().hex,
        "attempt": 0,
        "kind": "ask",
        "provider": "anthropic",
        "model": "claude-sonnet-4-6",
        "operation": "generate",
        "provider_mode": "simulated",
        "outcome": "ok",
        "latency_ms": 812.5,
        "cost_usd": None if usd is None else Decimal(usd),
    }
    return LedgerEntry.objects.create(**(values | fields))


def ledger_total() -> Decimal:
    """USD of all entries with a price."""
    known = LedgerEntry.objects.exclude(cost_usd=None).values_list("cost_usd", flat=True)
    return sum((amount for amount in known if amount is not None), Decimal(0))


def make_channel(target: str, **fields: Any) -> AlertChannel:
    return AlertChannel.objects.create(**({"name": uuid4().hex[:8], "target": target, "format": "json"} | fields))


def alerts_of(kind: Alert.Kind) -> list[Alert]:
    return list(Alert.objects.filter(kind=kind).order_by("at", "key"))
