"""How the versions of a prompt did in a span of time: traffic, cost, latency, hit rates.

Questions name the version of the answer prompt; of the other prompts the ledger names the version that each call sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Sum, Window
from django.db.models.functions import RowNumber

from costs.models import LedgerEntry
from rag.models import TraceSummary

CALLS = Q(correction=0)
UNPRICED = Q(~Exists(LedgerEntry.objects.filter(adjusts=OuterRef("pk"))), cost_usd=None)
GENERATED = Q(status=200, tokens_in__gt=0)
"""answers that a model wrote, rather than the answer cache"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the answer prompt. `cost_usd` is for all questions together; `unpriced` of them have no known price and are left out.

    `p50_ms` and `p95_ms` are of answers that a model wrote; None where there were none, as the rates (0 to 1) are.
    """

    questions: int
    cost_usd: Decimal
    unpriced: int
    failed: int
    p50_ms: float | None
    p95_ms: float | None
    answered_rate: float | None
    answer_cache_rate: float | None
    prompt_cache_rate: float | None

    @property
    def cost_per_query_usd(self) -> Decimal | None:
        priced = self.questions - self.unpriced
        return self.cost_usd / priced if priced else None


@dataclass(frozen=True, slots=True)
class Calls:
    """Of another prompt: the calls that sent it, retried ones too. The percentiles are of those that succeeded."""

    calls: int
    cost_usd: Decimal
    unpriced: int
    failed: int
    p50_ms: float | None
    p95_ms: float | None

    @property
    def cost_per_call_usd(self) -> Decimal | None:
        priced = self.calls - self.unpriced
        return self.cost_usd / priced if priced else None


def traffic(since: datetime | None) -> QuerySet[TraceSummary]:
    """Evaluations, tries and previews are not traffic."""
    rows = TraceSummary.objects.filter(kind="ask").exclude(prompt_version="")
    return rows if since is None else rows.filter(timestamp__gte=since)


def calls_of(prompt: str, since: datetime | None) -> QuerySet[LedgerEntry]:
    """What was sent with a prompt, and its adjustments; the judge's is sent by evaluations, the others by questions."""
    kind = "judge" if prompt == "judge" else "ask"
    of_kind = Q(kind=kind) | Q(adjusts__kind=kind)
    rows = LedgerEntry.objects.filter(of_kind, prompt__startswith=f"{prompt} v")
    return rows if since is None else rows.filter(at__gte=since)


def modes_of(rows: QuerySet[Any]) -> tuple[str, ...]:
    """Whose money was spent: `live`, `simulated`, both or neither."""
    return tuple(rows.order_by("provider_mode").values_list("provider_mode", flat=True).distinct())


def figures_by_version(*, since: datetime | None, provider_mode: str) -> dict[str, Figures]:
    """Of the answer prompt, by label (`v3`), for the versions that were asked anything."""
    rows = traffic(since).filter(provider_mode=provider_mode)
    times = percentiles(rows.filter(GENERATED, total_ms__isnull=False), by="prompt_version", value="total_ms")
    counted = rows.values("prompt_version").annotate(
        questions=Count("pk"),
        cost=Sum("cost_usd"),
        unpriced=Count("pk", filter=Q(cost_usd=None)),
        failed=Count("pk", filter=Q(status__gte=500)),
        answered_count=Count("pk", filter=Q(answered=True)),
        told=Count("pk", filter=Q(answered__isnull=False)),
        hits=Count("pk", filter=Q(answer_cache="hit")),
        misses=Count("pk", filter=Q(answer_cache="miss")),
        generations=Count("pk", filter=Q(tokens_in__gt=0)),
        reading=Count("pk", filter=Q(cache_read__gt=0)),
    )
    return {str(facts["prompt_version"]): figures_of(dict(facts), times) for facts in counted.order_by()}


def figures_of(facts: dict[str, Any], times: dict[str, tuple[float, float]]) -> Figures:
    p50, p95 = times.get(facts["prompt_version"], (None, None))
    return Figures(
        questions=facts["questions"],
        cost_usd=facts["cost"] or Decimal(0),
        unpriced=facts["unpriced"],
        failed=facts["failed"],
        p50_ms=p50,
        p95_ms=p95,
        answered_rate=share(facts["answered_count"], facts["told"]),
        answer_cache_rate=share(facts["hits"], facts["hits"] + facts["misses"]),
        prompt_cache_rate=share(facts["reading"], facts["generations"]),
    )


def calls_by_version(prompt: str, *, since: datetime | None, provider_mode: str) -> dict[str, Calls]:
    """By label (`v3`), for the versions that were sent at all."""
    rows = calls_of(prompt, since).filter(provider_mode=provider_mode)
    times = percentiles(rows.filter(CALLS, outcome="ok"), by="prompt", value="latency_ms")
    counted = rows.values("prompt").annotate(
        calls=Count("pk", filter=CALLS),
        cost=Sum("cost_usd"),
        unpriced=Count("pk", filter=UNPRICED),
        failed=Count("pk", filter=CALLS & ~Q(outcome="ok")),
    )
    found = {}
    for facts in counted.order_by():
        counts = (facts["calls"], facts["cost"] or Decimal(0), facts["unpriced"], facts["failed"])
        sent = str(facts["prompt"])
        found[sent.rpartition(" ")[2]] = Calls(*counts, *times.get(sent, (None, None)))
    return found


def percentiles(rows: QuerySet[Any], *, by: str, value: str) -> dict[str, tuple[float, float]]:
    """For each group the 50th and the 95th percentile by nearest rank, in one query."""
    group: Sequence[F] = [F(by)]
    ranked = rows.annotate(
        place=Window(RowNumber(), partition_by=group, order_by=F(value).asc()),
        size=Window(Count("pk"), partition_by=group),
    )
    ends = ranked.filter(Q(place=(F("size") * 50 + 99) / 100) | Q(place=(F("size") * 95 + 99) / 100))
    found: dict[str, list[float]] = {}
    for name, ms in ends.order_by(by, "place").values_list(by, value):
        found.setdefault(name, []).append(ms)
    return {name: (values[0], values[-1]) for name, values in found.items()}


def share(part: int, of: int) -> float | None:
    return part / of if of else None
