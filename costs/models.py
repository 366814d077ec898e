"""The price table, the ledger, and budgets. Alerts stand in `alert_models`."""

import re
from decimal import ROUND_CEILING, Decimal
from typing import Any, NoReturn

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models

from costs.alert_models import Alert, AlertChannel, AlertDelivery, DeliveryTry
from costs.prices import Price
from costs.usage import KINDS, Usage

__all__ = [
    "Alert",
    "AlertChannel",
    "AlertDelivery",
    "AppendOnly",
    "Budget",
    "BudgetWindow",
    "DeliveryTry",
    "LedgerEntry",
    "ModelPrice",
    "ProviderMode",
    "Reservation",
]

UNITS_PER_USD = 100_000_000
"""Counters are whole numbers of the ledger's last place, because sums must be exact on every database."""


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

    def calls(self) -> "LedgerQuerySet":
        """Without adjustments: what is counted, not what is summed."""
        return self.filter(correction=0)

    def estimates(self) -> "LedgerQuerySet":
        """Calls of which the provider did not say what it counted."""
        return self.calls().filter(estimated=True)

    def unpriced(self) -> "LedgerQuerySet":
        """Calls whose cost nobody knows, nor has supplied since."""
        return self.filter(cost_usd=None, adjustments=None)


class LedgerEntry(models.Model):
    """One provider attempt and what it cost. `cost_usd` is null when no price was known (unpriced), never 0 for that.

    Or an adjustment of such an entry: the difference that another price makes, without tokens, or that the provider's bill
    makes to what was estimated, in tokens and cost. Sums over all rows are right.
    """

    ADJUSTMENT = "adjustment"

    at = models.DateTimeField()
    trace_id = models.CharField(max_length=40)
    attempt = models.PositiveSmallIntegerField(help_text="position of the call within its trace, from 0")
    kind = models.CharField(max_length=20, help_text="ask, eval, ingest or adjustment")
    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=100)
    operation = models.CharField(max_length=40)
    provider_mode = models.CharField(max_length=10, choices=ProviderMode)
    outcome = models.CharField(max_length=40, help_text="ok, or the name of the failure")
    input_tokens = models.IntegerField(default=0)
    cache_write_5m = models.IntegerField(default=0)
    cache_write_1h = models.IntegerField(default=0)
    cache_read = models.IntegerField(default=0)
    output_tokens = models.IntegerField(default=0)
    search_units = models.IntegerField(default=0)
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
    adjusts = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="adjustments")
    correction = models.PositiveSmallIntegerField(
        default=0, help_text="0: a call; from 1: the adjustments of it, in order"
    )
    reason = models.CharField(max_length=120, blank=True, help_text="of an adjustment: what it rests on")

    objects = LedgerQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints = [
            models.UniqueConstraint(fields=["trace_id", "attempt", "correction"], name="one_entry_per_attempt"),
            models.CheckConstraint(
                condition=models.Q(adjusts=None, correction=0) | models.Q(adjusts__isnull=False, correction__gte=1),
                name="an_adjustment_names_its_entry",
            ),
            models.CheckConstraint(
                condition=models.Q(correction__gte=1) | models.Q(**{f"{kind}__gte": 0 for kind in KINDS}),
                name="only_an_adjustment_takes_tokens_away",
            ),
        ]
        indexes = [
            # the spend of a range of days, by model
            models.Index(fields=["at", "provider_mode", "model"], name="ledger_spend"),
            # what nobody knows the price of, of today
            models.Index(fields=["at"], condition=models.Q(cost_usd=None), name="ledger_unpriced"),
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


def check_thresholds(text: str) -> None:
    if not re.fullmatch(r"\s*[1-9]\d{0,2}\s*(,\s*[1-9]\d{0,2}\s*)*", text):
        raise ValidationError("Percentages from 1 to 999 with commas between them: 50, 80, 100")


class Budget(models.Model):
    """What may be spent in a day or a month of TIME_ZONE. Only with `hard` are questions beyond it refused."""

    class Scope(models.TextChoices):
        SERVICE = "service", "the whole service"
        API_KEY = "api_key", "one API key"
        CORPUS = "corpus", "one corpus"

    class Period(models.TextChoices):
        DAY = "day", "a day"
        MONTH = "month", "a month"

    scope = models.CharField(max_length=10, choices=Scope, default=Scope.SERVICE)
    target = models.CharField(
        max_length=60,
        blank=True,
        help_text="the id of the API key, or the name of the corpus; empty for the whole service",
    )
    period = models.CharField(max_length=5, choices=Period, default=Period.DAY)
    limit_usd = models.DecimalField(
        "limit, USD", max_digits=12, decimal_places=4, validators=[MinValueValidator(Decimal("0.0001"))]
    )
    warn_at = models.CharField(
        max_length=60, default="50, 80, 100", validators=[check_thresholds], help_text="per cent of the limit"
    )
    hard = models.BooleanField(
        "hard limit", default=False, help_text="refuse what would pass the limit; answers that are kept are still given"
    )
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["scope", "target", "period"], name="one_budget_per_target_and_period"),
            models.CheckConstraint(condition=models.Q(limit_usd__gt=0), name="budget_above_zero"),
            models.CheckConstraint(
                condition=models.Q(scope="service", target="") | (~models.Q(scope="service") & ~models.Q(target="")),
                name="budget_names_its_target",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.whose()}, ${self.limit_usd:.2f} {self.get_period_display()}"

    def clean(self) -> None:
        if self.scope == self.Scope.SERVICE and self.target:
            raise ValidationError({"target": "The whole service has no target: leave this empty."})
        if self.scope != self.Scope.SERVICE and not self.target:
            raise ValidationError({"target": "Which one? An API key by its id, a corpus by its name."})
        if self.scope == self.Scope.API_KEY and not self.target.isdecimal():
            raise ValidationError({"target": "An API key is named by its id, a number."})

    def whose(self) -> str:
        if self.scope == self.Scope.SERVICE:
            return "the whole service"
        return f"API key {self.target}" if self.scope == self.Scope.API_KEY else f"corpus {self.target}"

    def thresholds(self) -> list[int]:
        """Per cent, ascending, each once."""
        return sorted({int(each) for each in self.warn_at.split(",")})

    @property
    def limit_units(self) -> int:
        return units(self.limit_usd)


class BudgetWindow(models.Model):
    """One day or month of a budget: what was spent, and what questions on their way have reserved. A counter, not a ledger."""

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="windows", db_index=False)
    provider_mode = models.CharField(max_length=10, choices=ProviderMode)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    spent_units = models.BigIntegerField(default=0)
    reserved_units = models.BigIntegerField(default=0)
    synced_at = models.DateTimeField(help_text="when it was last held against the ledger")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["budget", "provider_mode", "starts_at"], name="one_window_at_a_time")
        ]

    def __str__(self) -> str:
        return f"{self.budget} from {self.starts_at:%Y-%m-%d}"

    @property
    def spent_usd(self) -> Decimal:
        return usd(self.spent_units)

    @property
    def reserved_usd(self) -> Decimal:
        return usd(self.reserved_units)


class Reservation(models.Model):
    """What a question on its way may spend at most. One that has expired belongs to a process that died."""

    window = models.ForeignKey(BudgetWindow, on_delete=models.CASCADE, related_name="reservations", db_index=False)
    trace_id = models.CharField(max_length=40)
    units = models.BigIntegerField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["trace_id", "window"], name="one_reservation_per_question")]
        indexes = [
            # what is reserved in a window
            models.Index(fields=["window", "expires_at"], name="reservation_open"),
        ]

    def __str__(self) -> str:
        return f"{self.trace_id} ${usd(self.units)}"


def units(amount: Decimal) -> int:
    """USD as a whole number of units, rounded up: what is reserved or spent is never made smaller."""
    return int((amount * UNITS_PER_USD).to_integral_value(ROUND_CEILING))


def usd(amount: int) -> Decimal:
    return Decimal(amount) / UNITS_PER_USD
