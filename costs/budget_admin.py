"""Budgets: set here, each with a bar of how it stands."""

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from costs.models import Budget
from costs.standings import Standing, standing
from ragsite.admin import RowAdmin, badge, to_the_second


@admin.register(Budget)
class BudgetAdmin(RowAdmin):
    """The list is short, so that each row may ask the ledger."""

    list_display = ("whose", "period", "limit", "now", "hard", "active")
    list_display_links = ("whose",)
    ordering = ("scope", "target", "period")
    fields = ("scope", "target", "period", "limit_usd", "warn_at", "hard", "active", "now")
    readonly_fields = ("now",)

    @admin.display(description="budget of", ordering="scope")
    def whose(self, budget: Budget) -> str:
        return budget.whose()

    @admin.display(description="limit", ordering="limit_usd")
    def limit(self, budget: Budget) -> str:
        return f"${budget.limit_usd:,.2f}"

    @admin.display(description="now")
    def now(self, budget: Budget) -> SafeString | str:
        if budget._state.adding:
            return "-"
        return bar(standing(budget, now=timezone.now()))


def bar(stands: Standing) -> SafeString:
    """Spent of the limit, what is reserved, the forecast, and when it begins anew."""
    told = f"${stands.spent_usd:,.4f} of ${stands.budget.limit_usd:,.2f} ({stands.percent:.0f} %)"
    if stands.reserved_usd:
        told += f", ${stands.reserved_usd:,.4f} reserved"
    whole = "" if stands.forecast.usd is None else f"${stands.forecast.usd:,.2f} in all, "
    return format_html(
        '<div class="budget"><span>{} {}</span>'
        '<div class="budget-bar" role="img" aria-label="{}"><span class="{}" style="width: {}%"></span></div>'
        '<span class="hint">Forecast: {}{}. Resets at {}</span></div>',
        told,
        badge("simulated") if stands.mode == "simulated" else "",
        told,
        tone(stands.percent),
        f"{min(stands.percent, 100):.1f}",
        whole,
        stands.forecast.note,
        to_the_second(stands.window.ends_at),
    )


def tone(percent: float) -> str:
    return "over" if percent >= 100 else "near" if percent >= 80 else "below"
