"""What of the service's own doings raises an alert: each once, under a key of its own."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from costs.alerts import raise_alert
from costs.models import Alert
from rag import clock
from rag.models import Outage

LATELY = timedelta(days=1)
"""Outages that ended before that are history: nobody is woken for them."""


def outages(now: datetime) -> None:
    """Two alerts for each outage: that it began, and that it ended."""
    for outage in Outage.objects.filter(Q(ended_at=None) | Q(ended_at__gte=now - LATELY)):
        detail = {"provider": outage.provider, "reason": outage.reason, "first_trace_id": outage.first_trace_id}
        raise_alert(
            kind=Alert.Kind.OUTAGE,
            key=f"{outage.pk}:began",
            severity=Alert.Severity.CRITICAL,
            message=f"{outage.provider} is down since {timezone.localtime(outage.started_at).isoformat()}: {outage.reason}",
            at=now,
            detail=detail,
        )
        if outage.duration is not None:
            raise_alert(
                kind=Alert.Kind.OUTAGE,
                key=f"{outage.pk}:ended",
                severity=Alert.Severity.INFO,
                message=f"{outage.provider} answers again, after {outage.duration.total_seconds():.0f} s",
                at=now,
                detail=detail | {"failures": outage.failures},
            )


def prompt_cache(line: Mapping[str, Any]) -> None:
    """One alert a day and prompt version, if the provider neither wrote nor read what was marked. Otherwise it asks nothing."""
    for warning in line["warnings"][:1]:
        now = clock.now()
        version = line["prompt_version"]
        raise_alert(
            kind=Alert.Kind.PROMPT_CACHE,
            key=f"{line['model']}:{version}:{timezone.localdate(now)}",
            severity=Alert.Severity.WARNING,
            message=f"{line['model']}, prompt {version}: {warning}",
            at=now,
            detail={"trace_id": line["trace_id"], "model": line["model"], "prompt_version": version},
        )


def trace_gap(*, day: date, missing: Sequence[str], damaged: Sequence[str], now: datetime) -> None:
    """For who verifies the trace files: `missing` are traces without line or rows, `damaged` the places of torn lines."""
    raise_alert(
        kind=Alert.Kind.TRACE_GAP,
        key=f"{day}:{len(missing)}:{len(damaged)}",
        severity=Alert.Severity.CRITICAL,
        message=f"the traces of {day} have gaps: {len(missing)} missing, {len(damaged)} lines damaged",
        at=now,
        detail={"day": str(day), "missing": list(missing[:20]), "damaged": list(damaged[:20])},
    )
