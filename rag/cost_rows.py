"""The ledger and the traces of a span, grouped.

Amounts are whole units of the ledger's last place (`units`), so sums are exact on every database.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import BigIntegerField, Case, Count, F, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce, Round
from django.utils import timezone

from costs.models import UNITS_PER_USD, LedgerEntry
from costs.windows import midnight
from rag import clock
from rag.models import TraceSummary

QUESTION_KINDS = ("ask", "traffic")
NONE = "none"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows are reported on: from `since` to before `until`. None: no restriction."""

    since: datetime
    until: datetime
    provider_mode: str
    module: str | None = None
    corpus: str | None = None
    kinds: Sequence[str] | None = None

    @property
    def question_kinds(self) -> Sequence[str]:
        return QUESTION_KINDS if self.kinds is None else self.kinds

    @property
    def part(self) -> dict[str, str]:
        named = {"provider_mode": self.provider_mode, "module": self.module, "corpus": self.corpus}
        return {name: value for name, value in named.items() if value is not None}

    def entries(self) -> QuerySet[LedgerEntry]:
        """An adjustment goes with the kind of what it adjusts."""
        rows = LedgerEntry.objects.filter(at__gte=self.since, at__lt=self.until, **self.part)
        return rows if self.kinds is None else rows.filter(of_kinds(self.kinds))

    def questions(self) -> QuerySet[TraceSummary]:
        span = Q(timestamp__gte=self.since, timestamp__lt=self.until)
        return TraceSummary.objects.filter(span, kind__in=self.question_kinds, **self.part)


@dataclass(frozen=True, slots=True)
class Split:
    """A table: the column's name, and what stands in it, in the ledger and in the traces.

    Without a column in the traces a question counts wherever one of its calls was booked.
    """

    column: str
    of_entry: Combinable
    of_question: str | None


def transform_of_entry() -> Combinable:
    trace = TraceSummary.objects.filter(trace_id=OuterRef("trace_id"))
    return Coalesce(Subquery(trace.values("transform")[:1]), Value(""))


SPLITS = {
    "by_model": Split("model", F("model"), None),
    "by_module": Split("module", F("module"), "module"),
    "by_query_type": Split("query_type", transform_of_entry(), "transform"),
    "by_key": Split("api_key_id", F("api_key_id"), "api_key_id"),
    "by_prompt_version": Split("prompt_version", F("prompt_version"), "prompt_version"),
    "by_kind": Split("kind", F("kind"), "kind"),
}


def units_sum(column: str, filter: Q | None = None) -> Coalesce:
    return Coalesce(Sum(Cast(Round(F(column) * Value(UNITS_PER_USD)), BigIntegerField()), filter=filter), 0)


def units_of(entries: QuerySet[LedgerEntry]) -> int:
    return int(entries.aggregate(units=units_sum("cost_usd"))["units"])


def of_kinds(kinds: Iterable[str]) -> Q:
    return Q(kind__in=kinds) | Q(adjusts__kind__in=kinds)


def split_table(scope: Scope, split: Split) -> list[Row]:
    """The dearest first. Where nothing stands in the column: `none`."""
    rows: dict[Any, Row] = {}
    figures: dict[str, Any] = {"units": units_sum("cost_usd")}
    if split.of_question is None:
        figures["asked"] = Count("trace_id", distinct=True, filter=Q(kind__in=scope.question_kinds))
    entries: QuerySet[LedgerEntry, Any] = scope.entries().annotate(split=split.of_entry).values("split")
    for found in entries.annotate(**figures).order_by():
        row = row_at(rows, split, found["split"])
        row["units"] += found["units"]
        row["questions"] += found.get("asked", 0)
    if split.of_question:
        counted = scope.questions().values(split=F(split.of_question)).annotate(asked=Count("pk"))
        for trace in counted.order_by():
            row_at(rows, split, trace["split"])["questions"] += trace["asked"]
    return sorted(rows.values(), key=lambda row: (-row["units"], str(row[split.column])))


def row_at(rows: dict[Any, Row], split: Split, value: Any) -> Row:
    name = NONE if value in (None, "") else value
    return rows.setdefault(name, {split.column: name, "units": 0, "questions": 0})


def daily(scope: Scope) -> list[Row]:
    """Every day of the span, those without rows too. `partial`: the span or the present cuts it off."""
    zone = timezone.get_default_timezone()
    days = days_of(scope)
    of_calls = scope.entries().annotate(day=day_at("at", days)).values("day").annotate(**spent(scope))
    booked: dict[int, Row] = {found["day"]: dict(found) for found in of_calls.order_by()}
    traced = scope.questions().annotate(day=day_at("timestamp", days)).values("day").annotate(**FACTS)
    facts: dict[int, Row] = {found["day"]: dict(found) for found in traced.order_by()}
    ends = min(scope.until, clock.now())
    return [
        {
            "date": day.isoformat(),
            "units": booked.get(n, {}).get("units", 0),
            "asked_units": booked.get(n, {}).get("asked_units", 0),
            **{name: facts.get(n, {}).get(name, 0) for name in FACTS},
            "partial": midnight(day, zone) < scope.since or ends < midnight(day + timedelta(days=1), zone),
        }
        for n, day in enumerate(days)
    ]


def day_at(moment: str, days: Sequence[date]) -> Case:
    """The place in `days` of the day that a moment within them falls on: by the midnights that budgets go by, in plain SQL."""
    zone = timezone.get_default_timezone()
    ends = (midnight(day + timedelta(days=1), zone) for day in days)
    return Case(*(When(**{f"{moment}__lt": end, "then": Value(n)}) for n, end in enumerate(ends)))


def spent(scope: Scope) -> Mapping[str, Coalesce]:
    """All, and what of it was spent on questions."""
    return {
        "units": units_sum("cost_usd"),
        "asked_units": units_sum("cost_usd", filter=of_kinds(scope.question_kinds)),
    }


FACTS: Mapping[str, Any] = {
    "questions": Count("pk"),
    "avoided": units_sum("avoided_usd"),
    "prompt_saved": units_sum("prompt_saved_usd"),
    "hits": Count("pk", filter=Q(answer_cache="hit")),
    "misses": Count("pk", filter=Q(answer_cache="miss")),
    "generations": Count("pk", filter=Q(tokens_in__gt=0)),
    "reading": Count("pk", filter=Q(cache_read__gt=0)),
}


def days_of(scope: Scope) -> list[date]:
    zone = timezone.get_default_timezone()
    first = scope.since.astimezone(zone).date()
    last = (scope.until - timedelta(microseconds=1)).astimezone(zone).date()
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
