"""The rows of the ledger and of the traces, as `tallies` counts them up."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import BigIntegerField, F, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Cast, Coalesce, Round
from django.utils import timezone

from costs.models import UNITS_PER_USD, LedgerEntry
from costs.windows import midnight
from rag.latencies import STAGES
from rag.models import TraceSummary
from rag.tallies import Entry, Traced

QUESTION_KINDS = ("ask", "traffic")
AT_ONCE = 5_000
ENTRY = (
    *("at", "provider_mode", "module", "corpus", "kind", "counts_as", "model", "query_type", "api_key_id"),
    *("prompt_version", "cost_usd", "correction", "adjusts_id", "adjusts__cost_usd"),
)
TRACE = (
    *("timestamp", "provider_mode", "module", "corpus", "kind", "transform", "api_key_id", "prompt_version", "status"),
    *("answer_cache", "degraded", "tokens_in", "cache_read", "avoided_usd", "prompt_saved_usd"),
    *(f"{stage}_ms" for stage in STAGES),
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What is reported on: days of TIME_ZONE, both included. None: no restriction."""

    first: date
    last: date
    provider_mode: str
    module: str | None = None
    corpus: str | None = None
    kinds: Sequence[str] | None = None

    @property
    def since(self) -> datetime:
        return midnight(self.first, timezone.get_default_timezone())

    @property
    def until(self) -> datetime:
        return midnight(self.last + timedelta(days=1), timezone.get_default_timezone())

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]

    @property
    def question_kinds(self) -> Sequence[str]:
        return QUESTION_KINDS if self.kinds is None else self.kinds

    @property
    def part(self) -> dict[str, str]:
        named = {"provider_mode": self.provider_mode, "module": self.module, "corpus": self.corpus}
        return {name: value for name, value in named.items() if value is not None}

    def holds(self, row: Entry | Traced) -> bool:
        """An adjustment goes with the kind of what it adjusts; of the traces only questions are counted."""
        part = (row.provider_mode, self.module or row.module, self.corpus or row.corpus)
        if part != (self.provider_mode, row.module, row.corpus) or not self.since <= row.at < self.until:
            return False
        if isinstance(row, Traced):
            return row.kind in self.question_kinds
        return self.kinds is None or row.counts_as in self.kinds


def entries_of(rows: QuerySet[LedgerEntry], *, few: bool = False) -> Iterator[Entry]:
    """The query type of an entry is that of its trace. `few`: they are fetched at once, which takes one query less."""
    transform = TraceSummary.objects.filter(trace_id=OuterRef("trace_id")).values("transform")[:1]
    named = rows.annotate(
        counts_as=Coalesce("adjusts__kind", F("kind")), query_type=Coalesce(Subquery(transform), Value(""))
    )
    told_of = named.values_list(*ENTRY)
    for *told, cost_usd, correction, adjusts_id, adjusted_usd in told_of if few else told_of.iterator(AT_ONCE):
        units = None if cost_usd is None else units_of(cost_usd)
        supplies = correction == 1 and adjusts_id is not None and adjusted_usd is None
        yield Entry._make((*told, units, correction == 0, supplies))


def traces_of(rows: QuerySet[TraceSummary], *, few: bool = False) -> Iterator[Traced]:
    told_of = rows.values_list(*TRACE)
    for row in told_of if few else told_of.iterator(AT_ONCE):
        told, degraded, (tokens_in, cache_read, avoided, saved), stages = row[:10], row[10], row[11:15], row[15:]
        amounts = (units_of(avoided), units_of(saved))
        yield Traced._make((*told, tuple(degraded), tokens_in, cache_read, *amounts, tuple(stages)))


def units_of(usd: Decimal) -> int:
    """Exact: the columns have no more places than a unit."""
    return int(usd * UNITS_PER_USD)


def units_in(entries: QuerySet[LedgerEntry]) -> int:
    """Their sum, by the database. Exact on every one: each amount is made a whole number first."""
    whole = Cast(Round(F("cost_usd") * Value(UNITS_PER_USD)), BigIntegerField())
    return int(entries.aggregate(units=Coalesce(Sum(whole), 0))["units"])
