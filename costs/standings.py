"""How budgets stand now: for the pages that show them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from costs.budgets import current_window
from costs.models import Budget, BudgetWindow
from costs.spend import current_mode, spent
from costs.windows import Forecast, Window, forecast


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget in its present window. Money of one mode only; `reserved_usd` is what questions on their way hold."""

    budget: Budget
    window: Window
    mode: str
    spent_usd: Decimal
    reserved_usd: Decimal
    forecast: Forecast

    @property
    def percent(self) -> float:
        """Spent, of the limit."""
        return float(self.spent_usd / self.budget.limit_usd * 100)


def standing(budget: Budget, *, now: datetime, spent_usd: Decimal | None = None) -> Standing:
    """`spent_usd`: where it is known already what the ledger says."""
    mode, window = current_mode(), current_window(budget, now)
    amount = spent(budget=budget, window=window, mode=mode) if spent_usd is None else spent_usd
    counter = BudgetWindow.objects.filter(budget=budget, provider_mode=mode, starts_at=window.starts_at).first()
    reserved = counter.reserved_usd if counter else Decimal(0)
    return Standing(budget, window, mode, amount, reserved, forecast(spent=amount, window=window, now=now))
