"""The price table, to which rows are added, and the ledger, which is only looked at."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from costs import alert_admin, budget_admin  # noqa: F401 - registers their pages
from costs.models import LedgerEntry, ModelPrice
from costs.usage import Usage
from ragsite.admin import (
    ChoicesCheckboxFilter,
    InfinitePaginator,
    ModelAdmin,
    ModelForm,
    NoChange,
    NoDelete,
    RadioFilter,
    RangeDateTimeFilter,
    ReadOnly,
    RowAdmin,
    choice_filter,
    money,
    outcome_badge,
    to_the_second,
)

PROVIDERS = tuple((name, name) for name in ("anthropic", "voyage", "openai", "cohere"))
KINDS = tuple((name, name) for name in ("ask", "eval", "judge", "ingest", "traffic", "try", "preview", "adjustment"))


class UnpricedFilter(RadioFilter):
    """Entries whose cost nobody knows."""

    title = "price"
    parameter_name = "price_known"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Sequence[tuple[str, str]]:
        return (("no", "unpriced only"),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[LedgerEntry]) -> QuerySet[LedgerEntry]:
        return queryset.filter(cost_usd=None, adjustments=None) if self.value() == "no" else queryset


class PriceForm(ModelForm):
    """A new row of the price table. What has been booked stays as it is, whenever the row begins."""

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        for name, value in list(given.items()):
            if isinstance(value, Decimal) and value < 0:
                self.add_error(name, "A price is never negative.")
        if not any(given.get(name) for name in ("input_usd", "output_usd", "search_usd")):
            self.add_error(
                None, "Every price is 0: a call would count as free. Leave a model out that has no known price."
            )
        return given


@admin.register(ModelPrice)
class ModelPriceAdmin(NoChange, NoDelete, RowAdmin):
    """A correction is a new row with a later date: what was charged stays as it was charged."""

    list_display = ("provider", "model", "effective_from", "input_usd", "output_usd", "cache_read_usd", "search_usd")
    list_filter = (choice_filter(field="provider", title="provider", choices=PROVIDERS),)
    search_fields = ("provider", "model", "source")
    ordering = ("provider", "model", "-effective_from")
    form = PriceForm

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"effective_from": timezone.now()} | super().get_changeform_initial_data(request)

    def save_model(self, request: HttpRequest, obj: ModelPrice, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        booked = LedgerEntry.objects.calls().filter(provider=obj.provider, model=obj.model, at__gte=obj.effective_from)
        if obj.effective_from > timezone.now():
            messages.info(request, f"It is in force from {timezone.localtime(obj.effective_from):%Y-%m-%d %H:%M}.")
        elif count := booked.count():
            first, today = timezone.localdate(obj.effective_from), timezone.localdate()
            messages.warning(
                request,
                f"It begins in the past: {count:,} calls were booked since, and stay as they were charged. "
                f"To correct them, see `manage.py costs recost --from {first} --to {today} --dry-run`.",
            )


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnly, RowAdmin):
    """One line for every attempt. No sums here: live and simulated money never meet."""

    list_display = ("moment", "provider", "model", "operation", "result", "tokens", "latency", "cost", "trace")
    list_filter = (
        ("provider_mode", ChoicesCheckboxFilter),
        choice_filter(field="provider", title="provider", choices=PROVIDERS),
        choice_filter(field="kind", title="kind", choices=KINDS),
        UnpricedFilter,
        ("at", RangeDateTimeFilter),
    )
    search_fields = ("trace_id", "request_id", "model")
    search_help_text = "trace id, request id or model"
    ordering = ("-at",)
    paginator = InfinitePaginator

    def get_queryset(self, request: HttpRequest) -> QuerySet[LedgerEntry]:
        return super().get_queryset(request).select_related("price")

    @admin.display(description="at", ordering="at")
    def moment(self, entry: LedgerEntry) -> SafeString:
        return to_the_second(entry.at)

    @admin.display(description="outcome", ordering="outcome")
    def result(self, entry: LedgerEntry) -> SafeString:
        return outcome_badge(entry.outcome)

    @admin.display(description="tokens in / out")
    def tokens(self, entry: LedgerEntry) -> str:
        """Of an adjustment, how many more or fewer."""
        usage, sign = entry.usage(), "+" if entry.correction else ""
        if entry.correction and usage == Usage():
            return "adjustment"
        told = f"{usage.prompt_tokens:{sign},} / {usage.output_tokens:{sign},}"
        if usage.search_units:
            told = f"{usage.search_units:{sign}} search units"
        return f"adjustment: {told}" if entry.correction else told

    @admin.display(description="ms", ordering="latency_ms")
    def latency(self, entry: LedgerEntry) -> str:
        return f"{entry.latency_ms:,.0f}"

    @admin.display(description="cost", ordering="cost_usd")
    def cost(self, entry: LedgerEntry) -> SafeString:
        return money(entry.cost_usd, entry.provider_mode)

    @admin.display(description="trace")
    def trace(self, entry: LedgerEntry) -> SafeString:
        url = reverse("admin:rag_tracesummary_by_trace", args=[entry.trace_id])
        return format_html('<a class="row-link" href="{}">{}</a>', url, entry.trace_id[:8])
