"""Alerts, the channels that they go out by, and every try to deliver one."""

import secrets
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator, validate_email
from django.db import models

from costs import sealing


class Alert(models.Model):
    """Something that staff should know. `key` names what happened: the same thing is told once."""

    class Kind(models.TextChoices):
        BUDGET = "budget", "budget"
        OUTAGE = "outage", "outage"
        UNPRICED = "unpriced", "unpriced model"
        TRACE_GAP = "trace_gap", "trace gap"
        PROMPT_CACHE = "prompt_cache", "prompt cache"
        DRIFT = "drift", "ledger drift"
        TEST = "test", "test"

    class Severity(models.TextChoices):
        INFO = "info", "info"
        WARNING = "warning", "warning"
        CRITICAL = "critical", "critical"

    id = models.UUIDField(primary_key=True, default=uuid4)
    kind = models.CharField(max_length=20, choices=Kind)
    key = models.CharField(max_length=200, unique=True)
    severity = models.CharField(max_length=10, choices=Severity)
    message = models.TextField()
    detail = models.JSONField(default=dict)
    at = models.DateTimeField()
    traced_at = models.DateTimeField(null=True, help_text="when its line was written into the trace file")

    class Meta:
        indexes = [
            # the newest first
            models.Index(fields=["-at"], name="alert_newest"),
            # those without a line in the trace file
            models.Index(fields=["at"], condition=models.Q(traced_at=None), name="alert_untraced"),
        ]

    def __str__(self) -> str:
        return self.message


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def new_sealed_secret() -> str:
    return sealing.seal(new_secret())


class AlertChannel(models.Model):
    """Where alerts go. The secret signs them; it is shown once, and the database holds it sealed."""

    class Format(models.TextChoices):
        JSON = "json", "webhook (JSON, for n8n and others)"
        SLACK = "slack", "webhook (Slack)"
        EMAIL = "email", "e-mail"

    name = models.CharField(max_length=60, unique=True)
    format = models.CharField(max_length=10, choices=Format, default=Format.JSON)
    target = models.CharField(max_length=500, help_text="an http or https address; for e-mail: addresses with commas")
    sealed_secret = models.TextField(default=new_sealed_secret, editable=False)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        check = validate_email if self.format == self.Format.EMAIL else URLValidator(schemes=["http", "https"])
        try:
            for each in self.recipients() if self.format == self.Format.EMAIL else [self.target]:
                check(each)
        except ValidationError as error:
            raise ValidationError({"target": error.messages}) from error

    @property
    def secret(self) -> str:
        """Raises sealing.SealBroken."""
        return sealing.opened(self.sealed_secret)

    @secret.setter
    def secret(self, secret: str) -> None:
        self.sealed_secret = sealing.seal(secret)

    def renew_secret(self) -> None:
        self.secret = new_secret()
        self.save(update_fields=["sealed_secret"])

    def recipients(self) -> list[str]:
        return [each.strip() for each in self.target.split(",")]


class AlertDelivery(models.Model):
    """One alert to one channel. The id goes along with every try, so that a receiver knows what it has had already."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        SENT = "sent", "sent"
        FAILED = "failed", "failed"

    id = models.UUIDField(primary_key=True, default=uuid4)
    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="deliveries", db_index=False)
    channel = models.ForeignKey(AlertChannel, on_delete=models.PROTECT, related_name="deliveries")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    tries = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "alert deliveries"
        constraints = [models.UniqueConstraint(fields=["alert", "channel"], name="one_delivery_per_channel")]
        indexes = [
            # what is due
            models.Index(fields=["next_try_at"], condition=models.Q(state="waiting"), name="delivery_due"),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class DeliveryTry(models.Model):
    """What came of one try. `status` null: there was no HTTP answer. Of an answer's body the beginning is kept."""

    delivery = models.ForeignKey(AlertDelivery, on_delete=models.CASCADE, related_name="history")
    at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=300, blank=True)
    response = models.TextField(blank=True)
    latency_ms = models.FloatField()

    class Meta:
        verbose_name_plural = "delivery tries"

    def __str__(self) -> str:
        return self.error or str(self.status)
