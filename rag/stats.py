"""What questions cost in a span of time, and what the caches saved. Real and simulated money are never added up."""

from collections.abc import Collection, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, DecimalField, F, Q, Sum, Value
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce

from rag.models import TraceSummary
from rag.trace import number

WRITES = F("cache_write_5m") + F("cache_write_1h")
ZERO_USD = Value(Decimal(0), output_field=DecimalField(max_digits=20, decimal_places=8))


def summed(what: str | CombinedExpression) -> Coalesce:
    """A sum over no rows is 0."""
    return Coalesce(Sum(what), 0)


def summed_usd(what: str) -> Coalesce:
    return Coalesce(Sum(what), ZERO_USD)


FACTS = {
    "questions": Count("pk"),
    "answered": Count("pk", filter=Q(answered=True)),
    "failed": Count("pk", filter=Q(status__gte=500)),
    "degraded": Count("pk", filter=Q(status=200) & ~Q(degraded=[])),
    "unpriced": Count("pk", filter=Q(cost_usd=None)),
    "spend": summed_usd("cost_usd"),
    "avoided": summed_usd("avoided_usd"),
    "prompt_saved": summed_usd("prompt_saved_usd"),
    "hits": Count("pk", filter=Q(answer_cache="hit")),
    "misses": Count("pk", filter=Q(answer_cache="miss")),
    "generations": Count("pk", filter=Q(tokens_in__gt=0)),
    "reading": Count("pk", filter=Q(cache_read__gt=0)),
    "read": summed("cache_read"),
    "written_5m": summed("cache_write_5m"),
    "written_1h": summed("cache_write_1h"),
    "sent": summed(F("tokens_in") - F("cache_read") - WRITES),
}


def stats(
    *,
    since: datetime,
    until: datetime,
    provider_mode: str,
    kinds: Iterable[str] = ("ask",),
    corpora: Collection[str] = (),
) -> dict[str, Any]:
    """The figures of the requests from `since` to before `until`, in all and by module, as plain JSON.

    Of those about `corpora` alone; none named: of all.
    """
    rows = TraceSummary.objects.filter(
        timestamp__gte=since, timestamp__lt=until, provider_mode=provider_mode, kind__in=kinds
    )
    rows = rows.filter(corpus__in=corpora) if corpora else rows
    named = rows.exclude(module="").values("module").order_by("module")
    return {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "provider_mode": provider_mode,
        **told(rows.aggregate(**FACTS)),
        "by_module": [{"module": facts["module"]} | told(facts) for facts in map(dict, named.annotate(**FACTS))],
    }


def told(facts: dict[str, Any]) -> dict[str, Any]:
    questions = facts["questions"]
    return {
        "questions": questions,
        "answered": facts["answered"],
        "failed": facts["failed"],
        "degraded": facts["degraded"],
        "unpriced": facts["unpriced"],
        "spend_usd": number(facts["spend"]),
        "cost_per_query_usd": number(facts["spend"] / questions) if questions else None,
        "saved_usd": number(facts["avoided"] + facts["prompt_saved"]),
        "answer_cache": {
            "hits": facts["hits"],
            "misses": facts["misses"],
            "hit_rate": rate(facts["hits"], facts["hits"] + facts["misses"]),
            "avoided_usd": number(facts["avoided"]),
        },
        "prompt_cache": {
            "requests": facts["generations"],
            "hits": facts["reading"],
            "hit_rate": rate(facts["reading"], facts["generations"]),
            "tokens": {
                "read": facts["read"],
                "write_5m": facts["written_5m"],
                "write_1h": facts["written_1h"],
                "uncached": facts["sent"],
            },
            "hit_rate_by_tokens": rate(facts["read"], facts["read"] + facts["written_5m"] + facts["written_1h"]),
            "saved_usd": number(facts["prompt_saved"]),
        },
    }


def rate(part: int, of: int) -> float | None:
    """A share from 0 to 1; None where there is nothing to share."""
    return round(part / of, 6) if of else None
