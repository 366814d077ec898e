"""Delivering alerts: at least once, under one id, by whoever claims the row; each try is kept.

A delivery that is being tried is claimed until LEASE is over, which is longer than a try can take: two workers never send the
same one at once, and one whose worker died is tried again under the same id.
"""

import json
import logging
import smtplib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F

from costs.models import AlertChannel, AlertDelivery, DeliveryTry
from costs.outbound import NotDelivered, post
from costs.sealing import SealBroken
from costs.signing import DELIVERY, signed_headers
from ragsite.secrets import masked

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)
MOST_TRIES = 10
LONGEST_DELAY_S = 3_600
AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Result:
    """`status` None: there was no HTTP answer; `error` empty: it has arrived."""

    status: int | None = None
    error: str = ""
    response: str = ""


def deliver_due(clock: Callable[[], datetime]) -> None:
    """Try what is due, the oldest first. Each try looks at the clock: those before it may have taken their time."""
    due = AlertDelivery.objects.filter(
        state=AlertDelivery.State.WAITING, next_try_at__lte=clock(), channel__active=True
    )
    for pk in list(due.order_by("next_try_at").values_list("pk", flat=True)[:AT_ONCE]):
        deliver(pk, clock())


def deliver(pk: UUID, now: datetime) -> Result | None:
    """One try; None when somebody else has the delivery, or it is done."""
    due = AlertDelivery.objects.filter(pk=pk, state=AlertDelivery.State.WAITING, next_try_at__lte=now)
    if not due.update(next_try_at=now + LEASE, tries=F("tries") + 1):
        return None
    delivery = AlertDelivery.objects.select_related("alert", "channel").get(pk=pk)
    started = perf_counter()
    result = sent(delivery, now)
    note(delivery, result, now, (perf_counter() - started) * 1000)
    return result


@transaction.atomic
def note(delivery: AlertDelivery, result: Result, now: datetime, latency_ms: float) -> None:
    DeliveryTry.objects.create(
        delivery=delivery,
        at=now,
        status=result.status,
        error=result.error[:300],
        response=result.response,
        latency_ms=round(latency_ms, 1),
    )
    if not result.error:
        delivery.state, delivery.sent_at = AlertDelivery.State.SENT, now
    elif delivery.tries >= MOST_TRIES:
        delivery.state = AlertDelivery.State.FAILED
        log.error("alert not delivered after %d tries: %s", delivery.tries, result.error)
    else:
        delivery.next_try_at = now + delay(delivery.tries)
    delivery.save(update_fields=["state", "sent_at", "next_try_at"])


def delay(tries: int) -> timedelta:
    """Until the next try: twice as long each time, an hour at most."""
    return timedelta(seconds=min(settings.ALERT_EVERY_S * 2 ** (tries - 1), LONGEST_DELAY_S))


def resend(delivery: AlertDelivery, now: datetime) -> bool:
    """Due at once, with all its tries before it, under its old id. False: it is not done yet, and its next try will come."""
    done = AlertDelivery.objects.filter(pk=delivery.pk).exclude(state=AlertDelivery.State.WAITING)
    return bool(done.update(state=AlertDelivery.State.WAITING, tries=0, next_try_at=now, sent_at=None))


def sent(delivery: AlertDelivery, now: datetime) -> Result:
    try:
        if delivery.channel.format == AlertChannel.Format.EMAIL:
            return mailed(delivery)
        return posted(delivery, now)
    except (NotDelivered, SealBroken, OSError, smtplib.SMTPException) as error:
        return Result(error=masked(str(error)) or type(error).__name__)


def posted(delivery: AlertDelivery, now: datetime) -> Result:
    channel = delivery.channel
    body = body_of(delivery).encode()
    headers = signed_headers(
        secret=channel.secret, delivery=str(delivery.pk), timestamp=int(now.timestamp()), body=body
    )
    reply = post(url=channel.target, body=body, headers=headers, allowed=settings.ALERT_ALLOWED_NETWORKS)
    if 200 <= reply.status < 300:
        return Result(reply.status, "", reply.body)
    told = "a redirect, which is not followed" if 300 <= reply.status < 400 else "not accepted"
    return Result(reply.status, f"HTTP {reply.status}: {told}", reply.body)


def body_of(delivery: AlertDelivery) -> str:
    """The same for every try."""
    return json.dumps(payload(delivery), ensure_ascii=False)


def payload(delivery: AlertDelivery) -> Mapping[str, Any]:
    alert = delivery.alert
    if delivery.channel.format == AlertChannel.Format.SLACK:
        return {"text": f"*ragsite {alert.severity}*: {alert.message}"}
    return {
        "delivery_id": str(delivery.pk),
        "alert_id": str(alert.pk),
        "kind": alert.kind,
        "severity": alert.severity,
        "message": alert.message,
        "at": alert.at.isoformat(),
        "detail": alert.detail,
    }


def mailed(delivery: AlertDelivery) -> Result:
    if not settings.EMAIL_URL:
        return Result(error="EMAIL_URL is not set: no mail can be sent")
    alert = delivery.alert
    body = f"{alert.message}\n\n{json.dumps(alert.detail, indent=2, ensure_ascii=False)}\n"
    EmailMessage(
        subject=f"[ragsite {alert.severity}] {alert.message}"[:200].replace("\n", " "),
        body=body,
        to=delivery.channel.recipients(),
        headers={DELIVERY: str(delivery.pk)},
    ).send()
    return Result()
