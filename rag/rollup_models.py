"""Roll-ups: the ledger and the traces counted up by the hour and by the day, so that a report need not read every row."""

from django.db import models


class Span(models.TextChoices):
    HOUR = "hour", "hour"
    DAY = "day", "day"


class RollupState(models.Model):
    """How far the roll-ups have read: every row up to those two ids is in them, whatever its time, and no other row. One row.

    `generation` changes with every change of the roll-ups.
    """

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    zone = models.CharField(max_length=60, help_text="whose days these are")
    last_entry = models.BigIntegerField(default=0)
    last_trace = models.BigIntegerField(default=0)
    entries = models.BigIntegerField(default=0)
    traces = models.BigIntegerField(default=0)
    units = models.BigIntegerField(default=0)
    generation = models.BigIntegerField(default=0)
    rolled_up_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(null=True, help_text="when they were last held against all rows")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.entries} entries and {self.traces} traces, days of {self.zone}"


class Place(models.Model):
    """When, and what a report can be narrowed to. `starts_at`: of the hour, or of the day in the zone of the state."""

    span = models.CharField(max_length=4, choices=Span)
    starts_at = models.DateTimeField()
    provider_mode = models.CharField(max_length=10)
    module = models.CharField(max_length=40)
    corpus = models.CharField(max_length=60)
    kind = models.CharField(max_length=20)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.span} of {self.starts_at:%Y-%m-%d %H:%M}"


PLACE = ("span", "starts_at", "provider_mode", "module", "corpus", "kind")


class Rollup(Place):
    """What was spent, called and asked in one split (`model`) of one value (`voyage-3.5`)."""

    NAMED = ("split", "value")
    FIGURES = ("units", "calls", "questions")

    split = models.CharField(max_length=20)
    value = models.CharField(max_length=100)
    units = models.BigIntegerField(default=0)
    calls = models.BigIntegerField(default=0)
    questions = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ()
        constraints = [
            # also serves the reading of a range of days
            models.UniqueConstraint(fields=[*PLACE, "split", "value"], name="one_rollup_per_place_and_value")
        ]


class LatencyRollup(Place):
    """How long answers took that came about in one way, at one stage. `bins` is what `sketches.packed` makes."""

    NAMED = ("way", "stage")
    FIGURES = ("bins",)

    way = models.CharField(max_length=10)
    stage = models.CharField(max_length=10)
    bins = models.BinaryField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=[*PLACE, "way", "stage"], name="one_rollup_per_place_and_stage")]
