"""What beat runs every minute: look, write what is new into the day's trace file, deliver. Two at once do nothing twice."""

import logging
from typing import Any

from costs import deliveries, watching
from costs.models import Alert
from rag import alarms, clock, wiring

log = logging.getLogger(__name__)


def watch() -> None:
    now = clock.now()
    watching.watch_budgets(now)
    watching.watch_prices(now)
    alarms.outages(now)
    write_lines()
    deliveries.deliver_due(clock.now)


def write_lines() -> None:
    """A WARN line for each alert that has none yet. Who claims the alert writes it; if the disk refuses, the next run tries."""
    for alert in Alert.objects.filter(traced_at=None).order_by("at"):
        now = clock.now()
        if not Alert.objects.filter(pk=alert.pk, traced_at=None).update(traced_at=now):
            continue
        try:
            wiring.trace_files().append(line=line_of(alert), at=now)
        except OSError:
            Alert.objects.filter(pk=alert.pk).update(traced_at=None)
            log.exception("no line for the alert %s", alert.pk)


def line_of(alert: Alert) -> dict[str, Any]:
    """`kind` stands first: readers of traces know by it that this is none (`trace_reading.is_note`)."""
    return {
        "kind": "alert",
        "level": "WARN",
        "timestamp": alert.at.isoformat(),
        "alert_id": str(alert.pk),
        "alert": alert.kind,
        "severity": alert.severity,
        "message": alert.message,
        "detail": alert.detail,
    }
