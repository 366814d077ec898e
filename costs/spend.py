"""What was spent, as the ledger has it."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Q, Sum

from costs.models import Budget, LedgerEntry, ProviderMode
from costs.windows import Window

EIGHT_PLACES = Decimal("0.00000001")


def current_mode() -> str:
    """What budgets count: real money as soon as one provider takes it, otherwise what the sandbox made up. Never both."""
    modes = {provider["mode"] for provider in settings.PROVIDERS.values()}
    return ProviderMode.LIVE.value if ProviderMode.LIVE.value in modes else ProviderMode.SIMULATED.value


def spent(*, budget: Budget, window: Window, mode: str, without_traces: Iterable[str] = ()) -> Decimal:
    """USD of that mode in the window, by the time of each call. What has no known price is left out."""
    entries = LedgerEntry.objects.filter(
        at__gte=window.starts_at, at__lt=window.ends_at, provider_mode=mode, **part(budget)
    ).exclude(trace_id__in=list(without_traces))
    total: Decimal | None = entries.aggregate(total=Sum("cost_usd"))["total"]
    return (total or Decimal(0)).quantize(EIGHT_PLACES)


def part(budget: Budget) -> Mapping[str, Any]:
    """The entries that a budget counts."""
    if budget.scope == Budget.Scope.API_KEY:
        return {"api_key_id": int(budget.target)}
    return {"corpus": budget.target} if budget.scope == Budget.Scope.CORPUS else {}


def counted_for(*, api_key_id: int | None, corpus: str) -> Q:
    """The budgets that count what is spent for that key and corpus."""
    found = Q(scope=Budget.Scope.SERVICE) | Q(scope=Budget.Scope.CORPUS, target=corpus)
    return found if api_key_id is None else found | Q(scope=Budget.Scope.API_KEY, target=str(api_key_id))
