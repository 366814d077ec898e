"""What was spent in a span of time, split in every way the cost page shows. All splits add up to the ledger.

Spend is of all that the ledger books (questions, evaluations, ingests, simulated traffic, adjustments), at the time of each
call. Questions are the traces of QUESTION_KINDS, at the time they came in; `cost_per_query_usd` divides their spend alone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone

from costs.models import UNITS_PER_USD, Budget
from costs.standings import standing
from rag import clock
from rag.cost_rows import SPLITS, Row, Scope, daily, split_table, units_of
from rag.latencies import STAGES, latency_table
from rag.models import ApiKey, Outage

TABLES = ("daily", *SPLITS)
"""Those whose `spend_usd` adds up to the total."""


def report(
    since: datetime,
    until: datetime,
    provider_mode: str,
    module: str | None = None,
    corpus: str | None = None,
    kinds: Sequence[str] | None = None,
) -> dict[str, Any]:
    """All figures of the cost page, as plain JSON; amounts in USD, days in TIME_ZONE."""
    scope = Scope(since, until, provider_mode, module, corpus, kinds)
    tables = {"daily": daily(scope)} | {name: split_table(scope, split) for name, split in SPLITS.items()}
    ledger = units_of(scope.entries())
    tables["by_key"] = with_key_names(tables["by_key"])
    answers = answers_of(scope)
    latency = latency_table(answers)
    days = tables["daily"]
    return {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "time_zone": timezone.get_default_timezone_name(),
        "provider_mode": provider_mode,
        "module": module,
        "corpus": corpus,
        "kinds": None if kinds is None else list(kinds),
        "question_kinds": list(scope.question_kinds),
        "totals": totals(days, ledger) | {"unpriced": unpriced(scope)},
        "sums": sums(tables, ledger),
        **{name: [told(row) for row in rows] for name, rows in tables.items()},
        "cache": rates(days),
        "latency_ms": overall(latency) | {"mixes": "hit, degraded and full answers", "by_stage": latency},
        "degraded": degraded(answers),
        "outages": outages(scope),
        "budget": budget_of_today(),
    }


def with_key_names(rows: list[Row]) -> list[Row]:
    """A key that is gone keeps its number."""
    names = dict(ApiKey.objects.values_list("pk", "name"))
    return [{"api_key_id": row["api_key_id"], "name": names.get(row["api_key_id"], "")} | row for row in rows]


def told(row: Row) -> Row:
    """A row as it is given away: dollars for units, rates for counts."""
    if "date" not in row:
        named = {name: value for name, value in row.items() if name not in ("units", "questions")}
        return named | {"spend_usd": usd(row["units"]), "questions": row["questions"]}
    return {
        "date": row["date"],
        "spend_usd": usd(row["units"]),
        "questions": row["questions"],
        "cost_per_query_usd": per_query(row["asked_units"], row["questions"]),
        "avoided_usd": usd(row["avoided"]),
        "prompt_saved_usd": usd(row["prompt_saved"]),
        **rates([row]),
        "partial": row["partial"],
    }


def totals(days: Sequence[Row], ledger: int) -> Row:
    def added(name: str) -> int:
        return sum(day[name] for day in days)

    return {
        "spend_usd": usd(ledger),
        "questions_usd": usd(added("asked_units")),
        "avoided_usd": usd(added("avoided")),
        "prompt_saved_usd": usd(added("prompt_saved")),
        "questions": added("questions"),
        "cost_per_query_usd": per_query(added("asked_units"), added("questions")),
    }


def sums(tables: Mapping[str, Sequence[Row]], ledger: int) -> Row:
    """Each table's sum, letter for letter, and whether all are the ledger's."""
    added = {name: sum(row["units"] for row in tables[name]) for name in TABLES}
    shown = {name: f"{usd(units):.8f}" for name, units in {"ledger": ledger, **added}.items()}
    return shown | {"equal": set(added.values()) == {ledger}}


def rates(days: Iterable[Row]) -> Row:
    """Of generations, the share that read from the prompt cache; of questions that could be kept, those that were."""
    sum_of: Counter[str] = Counter()
    for day in days:
        sum_of.update({name: day[name] for name in ("reading", "generations", "hits", "misses")})
    return {
        "prompt_hit_rate": rate(sum_of["reading"], sum_of["generations"]),
        "answer_hit_rate": rate(sum_of["hits"], sum_of["hits"] + sum_of["misses"]),
    }


def answers_of(scope: Scope) -> list[Row]:
    times = [f"{stage}_ms" for stage in STAGES]
    return list(scope.questions().filter(status=200).values("answer_cache", "degraded", *times))


def overall(latency: Sequence[Row]) -> Row:
    return {name: latency[0][name] for name in ("p50", "p95", "p99", "count")}


def degraded(answers: Iterable[Row]) -> list[Row]:
    """How answers were degraded; one may be in several ways."""
    counted = Counter(how for answer in answers for how in answer["degraded"])
    return [{"degraded": how, "answers": count} for how, count in counted.most_common()]


def outages(scope: Scope) -> list[Row]:
    """Those that touch the span, the newest first; `ended_at` None: it lasts."""
    touching = Outage.objects.filter(Q(ended_at=None) | Q(ended_at__gte=scope.since), started_at__lt=scope.until)
    return [
        {
            "provider": outage.provider,
            "started_at": outage.started_at.isoformat(),
            "ended_at": outage.ended_at and outage.ended_at.isoformat(),
            "reason": outage.reason,
            "failures": outage.failures,
        }
        for outage in touching.order_by("-started_at")
    ]


def unpriced(scope: Scope) -> int:
    """Calls whose cost nobody knows: in no sum."""
    return scope.entries().filter(cost_usd=None, adjustments=None).count()


def budget_of_today() -> Row | None:
    """The day's budget of the whole service, if there is one. It counts money of one mode, whatever the page shows."""
    budget = Budget.objects.filter(scope=Budget.Scope.SERVICE, period=Budget.Period.DAY, active=True).first()
    if budget is None:
        return None
    stands = standing(budget, now=clock.now())
    return {
        "limit_usd": float(budget.limit_usd),
        "spent_usd": float(stands.spent_usd),
        "reserved_usd": float(stands.reserved_usd),
        "percent": round(stands.percent, 2),
        "forecast_usd": None if stands.forecast.usd is None else float(stands.forecast.usd),
        "forecast_note": stands.forecast.note,
        "hard": budget.hard,
        "provider_mode": stands.mode,
        "resets_at": stands.window.ends_at.isoformat(),
    }


def usd(units: int) -> float:
    return units / UNITS_PER_USD


def per_query(units: int, questions: int) -> float | None:
    return round(usd(units) / questions, 8) if questions else None


def rate(part: int, of: int) -> float | None:
    """A share from 0 to 1; None where there is nothing to share."""
    return round(part / of, 6) if of else None
