"""What is looked at every minute: budgets that were crossed, and models without a price."""

from datetime import datetime, timedelta

from django.db.models import Count, Min
from django.utils import timezone

from costs.alerts import raise_alert
from costs.budgets import sync, window_row
from costs.models import Alert, Budget, BudgetWindow, LedgerEntry
from costs.spend import current_mode
from costs.windows import window_of

LOOK_BACK = timedelta(hours=1)
"""A window that ended so recently is looked at once more, for what was spent just before its end."""


def watch_budgets(now: datetime) -> None:
    """Set all windows right by the ledger, and raise an alert for every threshold that was crossed."""
    for budget in Budget.objects.filter(active=True).order_by("pk"):
        recent = {moment for moment in (now - LOOK_BACK, now) if moment == now or moment >= budget.created_at}
        for pk in {window_row(budget, current_mode(), moment).pk for moment in recent}:
            tell_crossings(sync(pk, now), now)


def tell_crossings(window: BudgetWindow, now: datetime) -> None:
    for threshold in window.budget.thresholds():
        if window.spent_units * 100 >= window.budget.limit_units * threshold:
            tell_crossing(window, threshold, now)


def tell_crossing(window: BudgetWindow, threshold: int, now: datetime) -> bool:
    budget = window.budget
    starts, ends = (f"{moment.isoformat()}" for moment in map(timezone.localtime, (window.starts_at, window.ends_at)))
    what = (
        "New questions are refused until then." if budget.hard else "Nothing is refused: the limit is not a hard one."
    )
    full = threshold >= 100
    return raise_alert(
        kind=Alert.Kind.BUDGET,
        key=f"{budget.pk}:{window.provider_mode}:{window.starts_at:%Y%m%dT%H%M%SZ}:{threshold}",
        severity=Alert.Severity.CRITICAL if full else Alert.Severity.WARNING,
        message=f"{threshold} % of the budget of {budget.whose()} for {budget.get_period_display()} is spent: "
        f"${window.spent_usd:.4f} of ${budget.limit_usd:.2f} ({window.provider_mode}). It resets at {ends}."
        + (f" {what}" if full else ""),
        at=now,
        detail={
            "budget_id": budget.pk,
            "scope": budget.scope,
            "target": budget.target,
            "period": budget.period,
            "threshold_percent": threshold,
            "limit_usd": str(budget.limit_usd),
            "spent_usd": str(window.spent_usd),
            "provider_mode": window.provider_mode,
            "window_starts_at": starts,
            "resets_at": ends,
            "hard": budget.hard,
        },
    )


def watch_prices(now: datetime) -> None:
    """One alert a day for each model that was called today and whose price nobody knows: its cost is in no sum."""
    today = window_of(period="day", now=now, zone=timezone.get_default_timezone())
    unpriced = LedgerEntry.objects.unpriced().filter(at__gte=today.starts_at, at__lt=today.ends_at)
    for row in unpriced.values("provider", "model", "provider_mode").annotate(calls=Count("pk"), first=Min("at")):
        raise_alert(
            kind=Alert.Kind.UNPRICED,
            key=f"{row['provider_mode']}:{row['provider']}:{row['model']}:{today.starts_at:%Y%m%dT%H%M%SZ}",
            severity=Alert.Severity.WARNING,
            message=f"{row['provider']} {row['model']} has no price: what it costs ({row['provider_mode']}) is in no sum "
            "and counts for no budget. Add a row to the price table.",
            at=now,
            detail={
                "provider": row["provider"],
                "model": row["model"],
                "provider_mode": row["provider_mode"],
                "calls": row["calls"],
                "first_at": row["first"].isoformat(),
            },
        )
