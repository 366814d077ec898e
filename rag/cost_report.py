"""What was spent on some days, split in every way the cost page shows. All splits add up to the ledger.

Spend is of all that the ledger books (questions, evaluations, ingests, simulated traffic, adjustments), at the time of each
call. Questions are the traces of QUESTION_KINDS, at the time they came in; `cost_per_query_usd` divides their spend alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from django.db.models import Q
from django.utils import timezone

from costs.models import UNITS_PER_USD, Budget
from costs.spend import current_mode
from costs.standings import standing
from costs.windows import midnight
from rag import clock
from rag.cost_figures import Figure, Figures, figures
from rag.cost_rows import Scope
from rag.latencies import WAYS, latency_table
from rag.models import ApiKey, Outage, Span
from rag.sketches import percentiles

NONE = "none"
Row = dict[str, Any]
SPLITS = {
    "by_model": "model",
    "by_module": "module",
    "by_query_type": "query_type",
    "by_key": "api_key_id",
    "by_prompt_version": "prompt_version",
    "by_kind": "kind",
}
"""The tables, each with its column."""
TABLES = ("daily", *SPLITS)
"""Those whose `spend_usd` adds up to the total."""
PRECISION = "within 1 % (histograms with bins 2 % wide)"
HOURLY_UP_TO = 2
"""Days that are shown by the hour as well."""


def report(
    first: date,
    last: date,
    provider_mode: str,
    module: str | None = None,
    corpus: str | None = None,
    kinds: Sequence[str] | None = None,
) -> Row:
    """All figures of the cost page, as plain JSON, of the days of TIME_ZONE from `first` to `last`; amounts in USD."""
    scope = Scope(first, last, provider_mode, module, corpus, kinds)
    found, zone = figures(scope), timezone.get_default_timezone()
    starts = {midnight(day, zone): day.isoformat() for day in scope.days}
    units = {"daily": by_time(found, starts, "total")} | {
        name: by_value(found, split) for name, split in SPLITS.items()
    }
    total = sum(figure.units for figure in found.sums("total").values())
    latency = latency_table(found.latencies())
    daily = [over_time(found, start, {"date": day}, next_midnight(start, zone)) for start, day in starts.items()]
    return {
        "since": scope.since.isoformat(),
        "until": scope.until.isoformat(),
        "time_zone": timezone.get_default_timezone_name(),
        "provider_mode": provider_mode,
        "module": module,
        "corpus": corpus,
        "kinds": None if kinds is None else list(kinds),
        "question_kinds": list(scope.question_kinds),
        "totals": totals(found, total),
        "sums": sums(units, total) | checked(found),
        "daily": daily,
        "hourly": hourly(scope) if len(scope.days) <= HOURLY_UP_TO else [],
        **{name: split_rows(found, name) for name in SPLITS},
        "prompt_versions": [row for start, day in starts.items() for row in versions_at(found, start, day)],
        "cache": rates(found.sums("answer_cache"), found.sums("prompt_cache")),
        "latency_ms": overall(latency)
        | {"mixes": "hit, degraded and full answers", "precision": PRECISION, "by_stage": latency},
        "latency_daily": [row for start, day in starts.items() for row in latencies_at(found, start, day)],
        "degraded": counts(found, "degraded", "answers"),
        "degraded_daily": [row for start, day in starts.items() for row in degraded_at(found, start, day)],
        "by_status": counts(found, "status", "questions"),
        "outages": outages(scope),
        "budget": budget_of_today(scope, found),
    }


def next_midnight(start: datetime, zone: tzinfo) -> datetime:
    return midnight(start.astimezone(zone).date() + timedelta(days=1), zone)


def by_time(found: Figures, starts: Mapping[datetime, str], split: str) -> dict[str, int]:
    return {day: found.at(split, start).units for start, day in starts.items()}


def by_value(found: Figures, split: str) -> dict[str, int]:
    return {value: figure.units for value, figure in found.sums(split).items()}


def totals(found: Figures, total: int) -> Row:
    all_of = added(found.sums("total"))
    saved = found.sums("saved")
    return {
        "spend_usd": usd(total),
        "questions_usd": usd(all_of.asked_units),
        "avoided_usd": usd(saved["answers"].asked_units),
        "prompt_saved_usd": usd(saved["prompts"].asked_units),
        "questions": all_of.questions,
        "cost_per_query_usd": per_query(all_of.asked_units, all_of.questions),
        "unpriced": added(found.sums("unpriced")).calls,
    }


def added(values: Mapping[str, Figure]) -> Figure:
    whole = Figure()
    for each in values.values():
        whole.add(each.units, each.asked_units, each.calls, each.questions)
    return whole


def sums(tables: Mapping[str, Mapping[str, int]], ledger: int) -> Row:
    """Each table's sum, letter for letter, and whether all are the ledger's."""
    found = {name: sum(tables[name].values()) for name in TABLES}
    shown = {name: f"{Decimal(units) / UNITS_PER_USD:.8f}" for name, units in {"ledger": ledger, **found}.items()}
    return shown | {"equal": set(found.values()) == {ledger}}


def checked(found: Figures) -> Row:
    """When the roll-ups were made and last held against every row; None: never, and then all was read from the rows."""
    state = found.state
    return {
        name: moment and moment.isoformat()
        for name, moment in (("rolled_up_at", state.rolled_up_at), ("checked_at", state.checked_at))
    }


def over_time(found: Figures, start: datetime, named: Row, ends: datetime) -> Row:
    """The figures of a day or an hour. `partial`: it is not over."""
    total = found.at("total", start)
    answers, prompts = found.at("saved", start, "answers"), found.at("saved", start, "prompts")
    saved = answers.asked_units + prompts.asked_units
    return named | {
        "spend_usd": usd(total.units),
        "questions": total.questions,
        "cost_per_query_usd": per_query(total.asked_units, total.questions),
        "uncached_per_query_usd": per_query(total.asked_units + saved, total.questions),
        "avoided_usd": usd(answers.asked_units),
        "prompt_saved_usd": usd(prompts.asked_units),
        **rates(found.values_at("answer_cache", start), found.values_at("prompt_cache", start)),
        "partial": clock.now() < ends,
    }


def hourly(scope: Scope) -> list[Row]:
    """The same for every hour that has begun, counted from each midnight."""
    found, zone, rows = figures(scope, Span.HOUR), timezone.get_default_timezone(), []
    for day in scope.days:
        start, ends = midnight(day, zone), midnight(day + timedelta(days=1), zone)
        while start < min(ends, clock.now()):
            end = min(start + timedelta(hours=1), ends)
            rows.append(over_time(found, start, {"hour": start.astimezone(zone).isoformat()}, end))
            start = end
    return rows


def split_rows(found: Figures, name: str) -> list[Row]:
    """The dearest first. Where nothing stands in the column: `none`. A model is called; everything else is asked."""
    split, keys = SPLITS[name], key_names() if name == "by_key" else {}
    rows = []
    for value, figure in found.sums(split).items():
        if not (figure.units or figure.calls or figure.questions):
            continue
        shown: Any = int(value) if value and name == "by_key" else value or NONE
        called = {"name": keys.get(shown, "")} if name == "by_key" else {}
        count = {"calls": figure.calls} if name == "by_model" else {"questions": figure.questions}
        rows.append({split: shown} | called | {"spend_usd": usd(figure.units)} | count)
    return sorted(rows, key=lambda row: (-row["spend_usd"], str(row[split])))


def key_names() -> dict[int, str]:
    """A key that is gone keeps its number."""
    return dict(ApiKey.objects.values_list("pk", "name"))


def versions_at(found: Figures, start: datetime, day: str) -> list[Row]:
    """What was asked of each prompt version on a day; without a version nothing was generated."""
    values = sorted(found.values_at("prompt_version", start).items())
    return [
        {"date": day, "prompt_version": value, "questions": each.questions, "spend_usd": usd(each.units)}
        | {"cost_per_query_usd": per_query(each.asked_units, each.questions)}
        for value, each in values
        if value and each.questions
    ]


def latencies_at(found: Figures, start: datetime, day: str) -> list[Row]:
    """Of whole answers, for each way apart."""
    rows = ((way, found.latency_at(start, [way])) for way in WAYS)
    return [{"date": day, "answers": way, "count": bins.total()} | percentiles(bins) for way, bins in rows if bins]


def degraded_at(found: Figures, start: datetime, day: str) -> list[Row]:
    values = sorted(found.values_at("degraded", start).items())
    return [{"date": day, "degraded": how, "answers": each.questions} for how, each in values if each.questions]


def counts(found: Figures, split: str, counted: str) -> list[Row]:
    """How many questions for each value, the most first. Degraded answers may be so in several ways."""
    values = sorted(found.sums(split).items(), key=lambda item: (-item[1].questions, item[0]))
    return [{split: value, counted: figure.questions} for value, figure in values if figure.questions]


def overall(latency: Sequence[Row]) -> Row:
    return {name: latency[0][name] for name in ("p50", "p95", "p99", "count")}


def rates(answers: Mapping[str, Figure], prompts: Mapping[str, Figure]) -> Row:
    """Of generations, the share that read from the prompt cache; of questions that could be kept, those that were."""

    def of(values: Mapping[str, Figure], name: str) -> int:
        return values[name].questions if name in values else 0

    hits = of(answers, "hit")
    return {
        "prompt_hit_rate": rate(of(prompts, "reading"), of(prompts, "generations")),
        "answer_hit_rate": rate(hits, hits + of(answers, "miss")),
    }


def outages(scope: Scope) -> list[Row]:
    """Those that touch the days, the newest first; `ended_at` None: it lasts."""
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


def budget_of_today(scope: Scope, found: Figures) -> Row | None:
    """The day's budget of the whole service, if there is one. It counts money of one mode, whatever the page shows."""
    budget = Budget.objects.filter(scope=Budget.Scope.SERVICE, period=Budget.Period.DAY, active=True).first()
    if budget is None:
        return None
    stands = standing(budget, now=clock.now(), spent_usd=spent_today(scope, found))
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


def spent_today(scope: Scope, found: Figures) -> Decimal:
    """From the figures of the report where it is of everything, and today is in it."""
    zone = timezone.get_default_timezone()
    today = timezone.localdate(clock.now(), zone)
    of_all = Scope(today, today, current_mode())
    if not (scope.first <= today <= scope.last and scope == replace(of_all, first=scope.first, last=scope.last)):
        found = figures(of_all)
    return Decimal(found.at("total", midnight(today, zone)).units) / UNITS_PER_USD


def usd(units: int) -> float:
    return units / UNITS_PER_USD


def per_query(units: int, questions: int) -> float | None:
    return round(usd(units) / questions, 8) if questions else None


def rate(part: int, of: int) -> float | None:
    """A share from 0 to 1; None where there is nothing to share."""
    return round(part / of, 6) if of else None
