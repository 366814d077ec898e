"""Outages: when a provider was down, and what is known of the providers now."""

import os
from collections.abc import Sequence
from datetime import timedelta

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from rag import clock
from rag.models import Outage
from rag.provider_health import provider_health
from ragsite.admin import (
    ModelAdmin,
    RadioFilter,
    ReadOnly,
    RowAdmin,
    action,
    choice_filter,
    outcome_badge,
    to_the_second,
)

UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


class StateFilter(RadioFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Sequence[tuple[str, str]]:
        return (("open", "open"), ("ended", "ended"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Outage]) -> QuerySet[Outage]:
        return queryset.filter(ended_at__isnull=self.value() == "open") if self.value() else queryset


@admin.register(Outage)
class OutageAdmin(ReadOnly, RowAdmin):
    """Written by the requests that met an outage, never by hand."""

    list_display = ("provider", "state", "started", "ended", "lasted", "failures", "shown_reason", "trace")
    list_filter = (choice_filter(field="provider", title="provider", choices=Outage.Provider.choices), StateFilter)
    ordering = ("-started_at",)
    actions_list = ("providers",)
    fields = (*list_display[:4], "last_failure", *list_display[4:])
    readonly_fields = fields

    @action(description="Providers now", permissions=["view"], url_path="providers", icon="monitor_heart")
    def providers(self, request: HttpRequest) -> HttpResponse:
        now = clock.now()
        context = self.admin_site.each_context(request) | {
            "title": "Providers",
            "model_admin": self,
            "providers": [
                (each, each.outage and shown(now - each.outage.started_at)) for each in provider_health(now=now)
            ],
            "pid": os.getpid(),
        }
        return TemplateResponse(request, "admin/rag/outage/providers.html", context)

    @admin.display(description="state")
    def state(self, outage: Outage) -> SafeString:
        tone, word = ("bad", "open") if outage.is_open else ("good", "ended")
        return format_html('<span class="badge badge-{}">{}</span>', tone, word)

    @admin.display(description="started", ordering="started_at")
    def started(self, outage: Outage) -> SafeString:
        return to_the_second(outage.started_at)

    @admin.display(description="ended", ordering="ended_at")
    def ended(self, outage: Outage) -> SafeString | str:
        return to_the_second(outage.ended_at) if outage.ended_at else "-"

    @admin.display(description="last failure", ordering="last_failure_at")
    def last_failure(self, outage: Outage) -> SafeString:
        return to_the_second(outage.last_failure_at)

    @admin.display(description="duration")
    def lasted(self, outage: Outage) -> str:
        if outage.duration is None:
            return f"{shown(clock.now() - outage.started_at)} so far"
        return shown(outage.duration)

    @admin.display(description="reason", ordering="reason")
    def shown_reason(self, outage: Outage) -> SafeString:
        return outcome_badge(outage.reason)

    @admin.display(description="first trace")
    def trace(self, outage: Outage) -> SafeString:
        url = reverse("admin:rag_tracesummary_by_trace", args=[outage.first_trace_id])
        return format_html('<a class="row-link" href="{}">{}</a>', url, outage.first_trace_id[:8])


def shown(duration: timedelta) -> str:
    """In its two largest units: `1 min 13 s`."""
    seconds, parts = int(duration.total_seconds()), []
    for unit, size in UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
