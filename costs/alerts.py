"""Raising an alert: once for each key, whoever notices first, with a delivery for every channel."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from costs.models import Alert, AlertChannel, AlertDelivery


def raise_alert(
    *, kind: Alert.Kind, key: str, severity: Alert.Severity, message: str, at: datetime, detail: Mapping[str, Any]
) -> bool:
    """Whether it was news. Of several who raise the same key at once, in whatever process, one does."""
    whole_key = f"{kind.value}:{key}"
    if Alert.objects.filter(key=whole_key).exists():
        return False
    alert = Alert(kind=kind, key=whole_key, severity=severity, message=message, at=at, detail=dict(detail))
    with transaction.atomic():
        Alert.objects.bulk_create([alert], ignore_conflicts=True)
        if not Alert.objects.filter(pk=alert.pk).exists():
            return False
        for channel in AlertChannel.objects.filter(active=True):
            AlertDelivery.objects.create(alert=alert, channel=channel, next_try_at=at)
    return True


def raise_test(channel: AlertChannel, *, at: datetime) -> AlertDelivery:
    """An alert for one channel alone, to see whether it arrives. It stands in no trace file."""
    with transaction.atomic():
        alert = Alert(kind=Alert.Kind.TEST, severity=Alert.Severity.INFO, at=at, traced_at=at, detail={})
        alert.key, alert.message = f"test:{alert.pk}", f"A test of the channel {channel.name}: alerts arrive."
        alert.save(force_insert=True)
        return AlertDelivery.objects.create(alert=alert, channel=channel, next_try_at=at)
