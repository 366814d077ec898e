"""What is looked at every day: whether the ledger is what the providers billed.

A bill is complete some hours after its day. Days are looked at DAYS times, so that what comes later still is settled.
"""

import logging
from datetime import date, datetime, timedelta

from django.conf import settings

from costs.alerts import raise_alert
from costs.bills import sources
from costs.bills.values import ReportUnavailable, Span
from costs.models import Alert
from costs.reconciling import Check, note_drift, reconcile
from costs.settling import settle

log = logging.getLogger(__name__)

COMPLETE_AFTER = timedelta(hours=6)
DAYS = 3


def watch_bills(now: datetime) -> None:
    """Of every provider that can be asked for its bill; a drift raises an alert, and estimates are settled if they may be."""
    for provider in sources.askable():
        for day in days_over(now):
            watch_bill(provider, Span.of_day(day), now)


def days_over(now: datetime) -> list[date]:
    """UTC days whose bill should be complete, the oldest first."""
    newest = (now - COMPLETE_AFTER).date() - timedelta(days=1)
    return [newest - timedelta(days=n) for n in reversed(range(DAYS))]


def watch_bill(provider: str, span: Span, now: datetime) -> None:
    try:
        bill = sources.ask(provider, span)
    except ReportUnavailable as error:
        note_unavailable(provider, span, error, now)
        return
    check = Check(provider, sources.mode_of(provider), span, bill)
    if settings.SETTLE_DAILY:
        for settlement in settle(check, dry_run=False):
            if settlement.adjustments:
                log.info("settled with %s: %s", provider, settlement.told(dry_run=False))
    found = reconcile(check)
    if found.drifts:
        note_drift(found)


def note_unavailable(provider: str, span: Span, error: ReportUnavailable, now: datetime) -> None:
    """Nobody can say whether the ledger is right: to the log, and to whom alerts go."""
    log.error("the ledger of %s was not held against the bill of %s: %s", span, provider, error)
    raise_alert(
        kind=Alert.Kind.DRIFT,
        key=f"{sources.mode_of(provider)}:{provider}:{span}:unavailable",
        severity=Alert.Severity.WARNING,
        message=f"the ledger of {span} could not be held against the bill of {provider}: {error}",
        at=now,
        detail={"provider": provider, "provider_mode": sources.mode_of(provider), "span": str(span)},
    )
