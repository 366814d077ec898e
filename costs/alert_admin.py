"""Alerts, the channels they go out by, and what became of each delivery."""

from collections.abc import Callable
from textwrap import shorten
from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from costs import deliveries
from costs.alerts import raise_test
from costs.models import Alert, AlertChannel, DeliveryTry
from costs.models import AlertDelivery as Delivery
from ragsite.admin import (
    InfinitePaginator,
    ModelAdmin,
    NoDelete,
    ReadOnly,
    ReadOnlyInline,
    RowAdmin,
    action,
    admin_link,
    choice_filter,
    text_box,
    to_the_second,
)

LONGEST_TOLD = 80
TONES = {"sent": "good", "waiting": "busy", "failed": "bad", "info": "plain", "warning": "notice", "critical": "bad"}


def pill(word: str) -> SafeString:
    return format_html('<span class="badge badge-{}">{}</span>', TONES[word], word)


class DeliveryInline(ReadOnlyInline):
    model = Delivery
    verbose_name_plural = "deliveries"
    fields = ("channel", "shown_state", "tries", "link")
    readonly_fields = fields

    @admin.display(description="state")
    def shown_state(self, delivery: Delivery) -> SafeString:
        return pill(delivery.state)

    @admin.display(description="tries")
    def link(self, delivery: Delivery) -> SafeString | str:
        return admin_link(delivery, "each try")


@admin.register(Alert)
class AlertAdmin(ReadOnly, RowAdmin):
    """Raised by what is looked at every minute, never by hand."""

    list_display = ("moment", "shown_severity", "kind", "message")
    list_display_links = ("moment", "message")
    list_filter = (
        choice_filter(field="kind", title="kind", choices=Alert.Kind.choices),
        choice_filter(field="severity", title="severity", choices=Alert.Severity.choices),
    )
    ordering = ("-at", "key")
    paginator = InfinitePaginator
    fields = ("moment", "kind", "shown_severity", "message", "detail", "key", "traced_at")
    readonly_fields = fields
    inlines = (DeliveryInline,)

    @admin.display(description="at", ordering="at")
    def moment(self, alert: Alert) -> SafeString:
        return to_the_second(alert.at)

    @admin.display(description="severity", ordering="severity")
    def shown_severity(self, alert: Alert) -> SafeString:
        return pill(alert.severity)


@admin.register(AlertChannel)
class AlertChannelAdmin(NoDelete, RowAdmin):
    """A channel's secret is shown once. One that is not wanted any more is made inactive: its deliveries name it."""

    list_display = ("name", "format", "host", "active")
    ordering = ("name",)
    actions_detail = ("test_channel", "renew_secret")

    def get_fields(self, request: HttpRequest, obj: AlertChannel | None = None) -> tuple[str, ...]:
        """The path of a webhook is often all that guards it: those who only look see its host."""
        target = "target" if obj is None or self.has_change_permission(request, obj) else "host"
        return ("name", "format", target, "active")

    @admin.display(description="target")
    def host(self, channel: AlertChannel) -> str:
        return channel.target if channel.format == AlertChannel.Format.EMAIL else f"{host_of(channel.target)}/…"

    def save_model(self, request: HttpRequest, obj: AlertChannel, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change and obj.format == AlertChannel.Format.JSON:
            messages.success(request, secret_told(obj))

    @action(description="Send a test", permissions=["change"], icon="send", url_path="test")
    def test_channel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        channel = get_object_or_404(AlertChannel, pk=object_id)

        def act() -> None:
            delivery = raise_test(channel, at=timezone.now())
            result = deliveries.deliver(delivery.pk, timezone.now())
            if result is None or result.error:
                messages.error(request, f"The test did not arrive: {result.error if result else 'it is being sent'}.")
            else:
                messages.success(request, f"The test has arrived ({result.status or 'handed to the mail server'}).")

        explanation = f"An alert of the kind `test` is sent to {channel.target}, at once and to nobody else."
        return confirmed(self, request, obj=channel, title="Send a test", explanation=explanation, act=act)

    @action(description="New secret", permissions=["change"], icon="key", url_path="secret")
    def renew_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        channel = get_object_or_404(AlertChannel, pk=object_id)

        def act() -> None:
            channel.renew_secret()
            messages.success(request, secret_told(channel))

        explanation = "From now on alerts are signed with a new secret. The receiver refuses them until it knows it."
        return confirmed(self, request, obj=channel, title="New secret", explanation=explanation, act=act)


class TryInline(ReadOnlyInline):
    model = DeliveryTry
    verbose_name_plural = "tries"
    fields = ("moment", "status", "error", "response", "latency_ms")
    readonly_fields = fields
    ordering = ("-at",)

    @admin.display(description="at")
    def moment(self, tried: DeliveryTry) -> SafeString:
        return to_the_second(tried.at)


@admin.register(Delivery)
class AlertDeliveryAdmin(ReadOnly, RowAdmin):
    list_display = ("shown_id", "alert_told", "channel", "shown_state", "tries", "next_try", "last_error")
    list_filter = (choice_filter(field="state", title="state", choices=Delivery.State.choices),)
    list_select_related = ("alert", "channel")
    ordering = ("-alert__at",)
    paginator = InfinitePaginator
    fields = ("id", "alert_told", "channel", "shown_state", "tries", "next_try", "sent_at", "payload")
    readonly_fields = fields
    inlines = (TryInline,)
    actions = ("resend_selected",)
    actions_detail = ("resend_one",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return super().get_queryset(request).prefetch_related("history")

    def has_resend_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("costs.change_alertdelivery")

    @action(description="Send again", permissions=["resend"], icon="send", url_path="resend")
    def resend_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        delivery = get_object_or_404(Delivery, pk=object_id)

        def act() -> None:
            if deliveries.resend(delivery, timezone.now()):
                messages.success(request, "It is sent again within a minute, under the same id.")
            else:
                messages.warning(request, f"It is not done yet: the next try is at {delivery.next_try_at:%H:%M:%S %Z}.")

        explanation = f"The alert is delivered once more to {delivery.channel}, under the same delivery id."
        return confirmed(self, request, obj=delivery, title="Send again", explanation=explanation, act=act)

    @admin.action(description="Send the selected again", permissions=["resend"])
    def resend_selected(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        done = [delivery for delivery in queryset if deliveries.resend(delivery, timezone.now())]
        for delivery in done:
            self.log_change(request, delivery, "Send again")
        messages.success(request, f"Sent again within a minute: {len(done)}. The others are not done yet.")

    @admin.display(description="delivery")
    def shown_id(self, delivery: Delivery) -> SafeString:
        return format_html("<code>{}</code>", str(delivery.pk)[:8])

    @admin.display(description="alert")
    def alert_told(self, delivery: Delivery) -> SafeString | str:
        return admin_link(delivery.alert, shorten(delivery.alert.message, LONGEST_TOLD))

    @admin.display(description="state", ordering="state")
    def shown_state(self, delivery: Delivery) -> SafeString:
        return pill(delivery.state)

    @admin.display(description="next try", ordering="next_try_at")
    def next_try(self, delivery: Delivery) -> SafeString | str:
        waits = delivery.state == Delivery.State.WAITING
        return to_the_second(delivery.next_try_at) if waits else "-"

    @admin.display(description="last error")
    def last_error(self, delivery: Delivery) -> str:
        tried = max(delivery.history.all(), key=lambda each: each.at, default=None)
        return tried.error if tried is not None and tried.error else "-"

    @admin.display(description="what is sent")
    def payload(self, delivery: Delivery) -> SafeString:
        return text_box(deliveries.body_of(delivery))


def host_of(url: str) -> str:
    """Without a user, a password and a path."""
    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"


def secret_told(channel: AlertChannel) -> SafeString:
    return format_html(
        'The secret that signs what goes to {}: <code class="one-time-key">{}</code> '
        "Copy it to the receiver now: it is never shown again.",
        channel.name,
        channel.secret,
    )


def confirmed(
    model_admin: ModelAdmin,
    request: HttpRequest,
    *,
    obj: Model,
    title: str,
    explanation: str,
    act: Callable[[], None],
) -> HttpResponse:
    """Say what will happen, and `act` when that is wanted: a link that is only followed changes nothing."""
    if request.method == "POST":
        act()
        model_admin.log_change(request, obj, title)
        return redirect(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", obj.pk)
    context = model_admin.admin_site.each_context(request) | {
        "title": title,
        "explanation": explanation,
        "original": obj,
        "opts": obj._meta,
    }
    return TemplateResponse(request, "admin/confirm.html", context)
