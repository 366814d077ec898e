"""The price table and the ledger."""

from decimal import Decimal
from typing import Any, NoReturn

from django.db import models

from costs.prices import Price
from costs.usage import Usage


class ProviderMode(models.TextChoices):
    LIVE = "live", "live"
    SIMULATED = "simulated", "simulated"


class ModelPrice(models.Model):
    """A dated price with its source. A correction is a new row: what was charged stays as it was charged."""

    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=100)
    effective_from = models.DateTimeField()
    input_usd = models.DecimalField("input, USD per MTok", max_digits=12, decimal_places=6)
    cache_write_5m_usd = models.DecimalField("5 min cache write", max_digits=12, decimal_places=6, default=Decimal(0))
    cache_write_1h_usd = models.DecimalField("1 h cache write", max_digits=12, decimal_places=6, default=Decimal(0))
    cache_read_usd = models.DecimalField("cache read", max_digits=12, decimal_places=6, default=Decimal(0))
    output_usd = models.DecimalField("output, USD per MTok", max_digits=12, decimal_places=6, default=Decimal(0))
    search_usd = models.DecimalField("USD per 1,000 searches", max_digits=12, decimal_places=6, default=Decimal(0))
    tier_threshold = models.PositiveIntegerField("long-prompt threshold (tokens)", null=True, blank=True)
    tier_factor = models.DecimalField(max_digits=6, decimal_places=2, default=Decimal(1))
    min_cacheable_tokens = models.PositiveIntegerField(null=True, blank=True)
    accepts_sampling = models.BooleanField(default=True)
    tokens_factor = models.DecimalField(max_digits=6, decimal_places=3, default=Decimal(1))
    source = models.CharField(max_length=300)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "price"
        constraints = [
            models.UniqueConstraint(fields=["provider", "model", "effective_from"], name="one_price_at_a_time"),
            models.CheckConstraint(condition=models.Q(input_usd__gte=0, output_usd__gte=0), name="prices_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.model} from {self.effective_from:%Y-%m-%d}"

    def as_price(self) -> Price:
        names = [name for name in Price.__dataclass_fields__ if hasattr(self, name)]
        return Price(**{name: getattr(self, name) for name in names})


class AppendOnly(Exception):
    """Raised on an attempt to change or delete a row that may only be added."""


class LedgerQuerySet(models.QuerySet["LedgerEntry"]):
    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnly("the ledger is append-only: write an adjustment instead")

    def delete(self) -> NoReturn:
        raise AppendOnly("the ledger is append-only: write an adjustment instead")


class LedgerEntry(models.Model):
    """One provider attempt and what it cost. `cost_usd` is null when no price was known (unpriced), never 0 for that."""

    at = models.DateTimeField()
    trace_id = models.CharField(max_length=40)
    attempt = models.PositiveSmallIntegerField(help_text="position of the call within its trace, from 0")
    kind = models.CharField(max_length=20, help_text="ask, eval or ingest")
    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=100)
    operation = models.CharField(max_length=40)
    provider_mode = models.CharField(max_length=10, choices=ProviderMode)
    outcome = models.CharField(max_length=40, help_text="ok, or the name of the failure")
    input_tokens = models.PositiveIntegerField(default=0)
    cache_write_5m = models.PositiveIntegerField(default=0)
    cache_write_1h = models.PositiveIntegerField(default=0)
    cache_read = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    search_units = models.PositiveIntegerField(default=0)
    cost_usd = models.DecimalField(max_digits=14, decimal_places=8, null=True)
    estimated = models.BooleanField(default=False, help_text="the provider did not say what it counted")
    price = models.ForeignKey(ModelPrice, null=True, on_delete=models.PROTECT, db_index=False)
    latency_ms = models.FloatField()
    request_id = models.CharField(max_length=80, blank=True)
    module = models.CharField(max_length=40, blank=True)
    corpus = models.CharField(max_length=60, blank=True)
    prompt_version = models.CharField(max_length=20, blank=True, help_text="of the answer that the call was made for")
    prompt = models.CharField(max_length=60, blank=True, help_text="what this call sent: `hyde v3`")
    api_key_id = models.BigIntegerField(null=True)

    objects = LedgerQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints = [
            models.UniqueConstraint(fields=["trace_id", "attempt"], name="one_entry_per_attempt"),
        ]
        indexes = [
            # the spend of a range of days, by model
            models.Index(fields=["at", "provider_mode", "model"], name="ledger_spend"),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.operation} {self.cost_usd if self.cost_usd is not None else 'unpriced'}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnly("the ledger is append-only: write an adjustment instead")
        super().save(*args, **(kwargs | {"force_insert": True}))  # never an UPDATE of a row with the same key

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("the ledger is append-only: write an adjustment instead")

    def usage(self) -> Usage:
        return Usage(**{name: getattr(self, name) for name in Usage.__dataclass_fields__})
