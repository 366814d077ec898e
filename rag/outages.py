"""Outages of the providers, read off the traces: a failure opens one, the next success ends it.

A call is placed in time by its beginning: one that was begun before an outage ended says nothing about the time after.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import DateTimeField, F, Value
from django.db.models.functions import Greatest

from rag.errors import (
    IndexUnavailable,
    ProviderBusy,
    ProviderMalformed,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from rag.models import Outage

log = logging.getLogger(__name__)

# A line does not say why a call was refused (401 or 400), so a refusal counts as being locked out.
DOWN = frozenset(
    error.code for error in (ProviderBusy, ProviderUnavailable, ProviderTimeout, ProviderMalformed, ProviderRefused)
)
SAYS_SOMETHING = DOWN | {"ok"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a request's last call of a provider says about it. `reason` is the outcome's code, None when it answered."""

    began_at: datetime
    ended_at: datetime
    reason: str | None


def verdicts(line: Mapping[str, Any]) -> Mapping[str, Verdict]:
    """By provider, for those that were asked and of which the line says whether they are up."""
    telling = [attempt for attempt in line["attempts"] if attempt["outcome"] in SAYS_SOMETHING]
    found = {attempt["provider"]: verdict_of(attempt) for attempt in telling}
    chroma = chroma_verdict(line)
    return found | {Outage.Provider.CHROMA.value: chroma} if chroma else found


def verdict_of(attempt: Mapping[str, Any]) -> Verdict:
    reason = attempt["outcome"] if attempt["outcome"] in DOWN else None
    return spanning(attempt["at"], attempt["latency_ms"], reason)


def chroma_verdict(line: Mapping[str, Any]) -> Verdict | None:
    """None when no search was brought to its end. A line tells how long it took but not when: the request stands for it."""
    failed = (line["error"] or {}).get("code") == IndexUnavailable.code
    answered = line["latencies_ms"]["vector"] is not None and bool(line["vector_candidates"])
    if not failed and not answered:
        return None
    return spanning(line["timestamp"], line["latencies_ms"]["total"], IndexUnavailable.code if failed else None)


def spanning(began: str, milliseconds: float, reason: str | None) -> Verdict:
    began_at = datetime.fromisoformat(began)
    return Verdict(began_at, began_at + timedelta(milliseconds=milliseconds), reason)


def note(line: Mapping[str, Any], *, open_outages: int) -> None:
    """Open, count or end the outages that a line tells of. `open_outages`: how many there were when the request began.

    Without a failure in the line and without an open outage it asks the database nothing.
    """
    found = verdicts(line)
    for provider, verdict in found.items():
        if verdict.reason is not None:
            note_failure(provider, verdict, verdict.reason, line["trace_id"])
    answered = {provider: verdict.began_at for provider, verdict in found.items() if verdict.reason is None}
    if open_outages and answered:
        end_outages(answered, line["trace_id"])


def note_failure(provider: str, verdict: Verdict, reason: str, trace_id: str) -> None:
    """Count it on the open outage, or open one, unless the provider has answered a call that was begun later."""
    if counted(provider, verdict) or Outage.objects.filter(provider=provider, ended_at__gte=verdict.began_at).exists():
        return
    opened = Outage(
        provider=provider,
        started_at=verdict.began_at,
        last_failure_at=verdict.ended_at,
        reason=reason,
        first_trace_id=trace_id,
    )
    Outage.objects.bulk_create([opened], ignore_conflicts=True)
    if Outage.objects.filter(provider=provider, first_trace_id=trace_id).exists():
        log.error("outage of %s began", provider, extra={"trace_id": trace_id})
    else:
        counted(provider, verdict)


def counted(provider: str, verdict: Verdict) -> bool:
    """Add a failed request to the provider's open outage, if it has one."""
    known_at = Value(verdict.ended_at, output_field=DateTimeField())
    return bool(
        Outage.objects.filter(provider=provider, ended_at=None).update(
            failures=F("failures") + 1, last_failure_at=Greatest(F("last_failure_at"), known_at)
        )
    )


def end_outages(answered: Mapping[str, datetime], trace_id: str) -> None:
    """End those whose provider has answered a call that was begun (`answered`) after its last failure."""
    for outage in Outage.objects.filter(provider__in=answered, ended_at=None):
        began_at = answered[outage.provider]
        quiet = Outage.objects.filter(pk=outage.pk, ended_at=None, last_failure_at__lt=began_at)
        if quiet.update(ended_at=began_at):
            lasted_s = (began_at - outage.started_at).total_seconds()
            log.warning("outage of %s ended after %.0f s", outage.provider, lasted_s, extra={"trace_id": trace_id})
