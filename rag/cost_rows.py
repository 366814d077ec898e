"""The ledger and the traces of a span, grouped. Amounts are whole units of the ledger's last place (`units`), so sums are exact."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import BigIntegerField, Count, F, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce, Round, TruncDate
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


def units_sum(column: str) -> Coalesce:
    return Coalesce(Sum(Cast(Round(F(column) * Value(UNITS_PER_USD)), BigIntegerField())), 0)


def units_of(entries: QuerySet[LedgerEntry]) -> int:
    return int(entries.aggregate(units=units_sum("cost_usd"))["units"])


def of_kinds(kinds: Iterable[str]) -> Q:
    return Q(kind__in=kinds) | Q(adjusts__kind__in=kinds)


def split_table(scope: Scope, split: Split) -> list[Row]:
    """The dearest first. Where nothing stands in the column: `none`."""
    rows: dict[Any, Row] = {}
    asked = Count("trace_id", distinct=True, filter=Q(kind__in=scope.question_kinds))
    entries = (
        scope.entries()
        .annotate(split=split.of_entry)
        .values("split")
        .annotate(units=units_sum("cost_usd"), asked=asked)
    )
    for found in entries.order_by():
        row = row_at(rows, split, found["split"])
        row["units"] += found["units"]
        row["questions"] += 0 if split.of_question else found["asked"]
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
    spent = units_by_day(scope.entries())
    on_questions = units_by_day(scope.entries().filter(of_kinds(scope.question_kinds)))
    traced = scope.questions().annotate(day=TruncDate("timestamp", tzinfo=zone)).values("day").annotate(**FACTS)
    facts: dict[date, Row] = {found["day"]: dict(found) for found in traced.order_by()}
    ends = min(scope.until, clock.now())
    return [
        {
            "date": day.isoformat(),
            "units": spent.get(day, 0),
            "asked_units": on_questions.get(day, 0),
            **{name: facts.get(day, {}).get(name, 0) for name in FACTS},
            "partial": midnight(day, zone) < scope.since or ends < midnight(day + timedelta(days=1), zone),
        }
        for day in days_of(scope)
    ]


def units_by_day(entries: QuerySet[LedgerEntry]) -> dict[date, int]:
    by_day = entries.annotate(day=TruncDate("at", tzinfo=timezone.get_default_timezone())).values("day")
    return {found["day"]: found["units"] for found in by_day.annotate(units=units_sum("cost_usd")).order_by()}


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
