"""What the ship gate needs besides scores, found out by doing: traffic is replayed, providers are broken, traces replayed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

from django.db.models import Max, Sum
from django.utils import timezone

from costs.models import LedgerEntry
from evals import proxy_check, trace_proof
from evals.dataset import load_dataset
from evals.models import EvalRun
from evals.reporting import verdict_sentence
from evals.run_comparison import compared
from evals.ship_gate import PRODUCTION, REFERENCE, Evidence, Finding, Traffic
from evals.summary import summarised
from rag import clock
from rag.accounts import Comparison
from rag.cost_report import NONE, SPLITS, report
from rag.drill import DrillRefused, results
from rag.failure_table import CASES, GROUPS
from rag.models import TraceSummary
from rag.replaying_traffic import KIND as TRAFFIC_KIND
from rag.replaying_traffic import TrafficRefused, comparisons
from rag.traffic import PROFILES

PROFILE, SEED = "moderate", 1
COST_PAGE_SPAN = timedelta(days=30)
Tell = Callable[[str], None]


def gathered(runs: Sequence[EvalRun], *, tell: Tell) -> Evidence:
    """`runs` are of one data set, corpus version and provider mode, one a module. Takes a minute or two.

    The order matters: what is asked here fills the cost page, which is looked at last.
    """
    first = runs[0]
    tell("replaying an hour of traffic with and without caches")
    before = newest_trace()
    traffic = replayed_traffic(first)
    of_traffic = TraceSummary.objects.filter(kind=TRAFFIC_KIND, pk__gt=before).values_list("trace_id", flat=True)
    tell(f"breaking the providers, {len(CASES)} cases one after the other")
    failures = broken()
    tell("asking at the public address")
    proxy = proxy_check.reached()
    tell("replaying every query")
    traces = trace_proof.replayed([*traces_of(runs), *of_traffic])
    return Evidence(
        best_recall=best_recall(first),
        recall_compared=recall_compared(runs),
        prompt_reads=prompt_reads(runs),
        traffic=traffic,
        failures=failures,
        traces=traces,
        prompt_versions=named_versions(),
        cost_page=cost_page(first.provider_mode),
        proxy=proxy,
    )


def newest_trace() -> int:
    return TraceSummary.objects.aggregate(newest=Max("pk"))["newest"] or 0


def traces_of(runs: Iterable[EvalRun]) -> list[str]:
    return [trace_id for run in runs for trace_id in run.results.values_list("trace_id", flat=True)]


def best_recall(run: EvalRun) -> float | None:
    """The best Recall@5 that REFERENCE ever reached on the questions and documents of the run."""
    alike = EvalRun.objects.filter(
        state=EvalRun.State.DONE,
        module=REFERENCE,
        answer_cache=False,
        limit=None,
        dataset_sha256=run.dataset_sha256,
        corpus=run.corpus,
        corpus_version=run.corpus_version,
        provider_mode=run.provider_mode,
    )
    reached = (summarised(each).means["recall_at_5"].value for each in alike)
    return max((value for value in reached if value is not None), default=None)


def recall_compared(runs: Iterable[EvalRun]) -> str:
    by_module = {run.module: run for run in runs}
    if not {PRODUCTION, REFERENCE} <= by_module.keys():
        return ""
    (comparison,) = compared(by_module[REFERENCE], by_module[PRODUCTION], measures=("recall_at_5",))
    return verdict_sentence(comparison)


def prompt_reads(runs: Iterable[EvalRun]) -> int:
    production = [run for run in runs if run.module == PRODUCTION]
    return TraceSummary.objects.filter(trace_id__in=traces_of(production), cache_read__gt=0).count()


def replayed_traffic(run: EvalRun) -> Traffic | str:
    """The hour of `manage.py traffic --profile moderate`, over the questions of the run."""
    questions = [question.question for question in load_dataset(run.dataset_path).questions]
    try:
        with closing(comparisons([PROFILES[PROFILE]], questions=questions, corpus=run.corpus, seed=SEED)) as replay:
            return as_traffic(next(replay))
    except TrafficRefused as refusal:
        return str(refusal)


def as_traffic(comparison: Comparison) -> Traffic:
    plain, cached = comparison.plain, comparison.cached
    return Traffic(
        requests=len(cached.requests),
        plain_usd=float(plain.cost_per_query),
        cached_usd=float(cached.cost_per_query),
        answer_hits=cached.answer_hit_rate,
        prompt_hits=comparison.prompt_hit_rate(cached),
        faults=tuple(comparison.faults),
    )


def broken() -> Finding:
    """The drill, whole: `manage.py drill`."""
    try:
        with closing(results(CASES)) as happening:
            seen = list(happening)
    except DrillRefused as refusal:
        return Finding("not run", (str(refusal),))
    passed = sum(result.passed for result in seen)
    expected = len(CASES) + 2  # and unbroken, before and after
    faults = [f"{result.case}: {result.why}" for result in seen if not result.passed]
    if len(seen) < expected and not faults:
        faults = [f"only {len(seen)} of {expected} cases were tried"]
    return Finding(f"{passed} of {expected} cases as promised ({', '.join(GROUPS)})", tuple(faults))


def named_versions() -> Finding:
    """Over all rows that there are, whoever asked."""
    entries = LedgerEntry.objects.filter(operation="generate", correction=0)
    traces = TraceSummary.objects.filter(tokens_in__gt=0)
    nameless = [
        f"{count:,} {what} without one"
        for what, rows in (("generations in the ledger", entries), ("traces with a generation", traces))
        if (count := rows.filter(prompt_version="").count())
    ]
    told = f"{entries.count():,} generations in the ledger, {traces.count():,} traces with one"
    return Finding(told, tuple(nameless) if entries else ("there is no generation",))


def cost_page(provider_mode: str) -> Finding:
    """The report behind the page, over the last 30 days, against the rows. A call that is booked meanwhile makes them unequal:
    once more."""
    last = timezone.localdate(clock.now())
    for _ in range(2):
        told = report(last - COST_PAGE_SPAN, last, provider_mode)
        in_rows = booked(told["since"], told["until"], provider_mode)
        equal = told["sums"]["equal"] and told["sums"]["ledger"] == in_rows
        if equal:
            break
    rows = {name: sum(row[column] != NONE for row in told[name]) for name, column in SPLITS.items()}
    counted = ", ".join(f"{column.replace('_', ' ')} {rows[name]}" for name, column in SPLITS.items())
    faults = [*dead(told, rows), *([] if equal else [f"the splits do not add up to the ledger's ${in_rows}"])]
    return Finding(f"rows by {counted}; sums {'equal' if equal else 'not equal'} to the ledger", tuple(faults))


def booked(since: str, until: str, provider_mode: str) -> str:
    """USD that the rows of the ledger add up to, as the report writes it."""
    rows = LedgerEntry.objects.filter(at__gte=since, at__lt=until, provider_mode=provider_mode)
    return f"{rows.aggregate(usd=Sum('cost_usd'))['usd'] or 0:.8f}"


def dead(told: dict[str, Any], rows: dict[str, int]) -> Iterator[str]:
    yield from (f"nothing stands in {name}" for name, count in rows.items() if not count)
    if not any(day["questions"] and day["spend_usd"] for day in told["daily"]):
        yield "no day has questions and spend"
    yield from (f"no {name}" for name, value in told["cache"].items() if value is None)
    if not told["latency_ms"]["count"]:
        yield "no latency"
