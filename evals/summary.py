"""A run in figures: means with their intervals, refusals, costs, latencies, and how far the judge repeats itself."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from evals.metrics import Mean, mean, refusals
from evals.models import EvalResult, EvalRun
from evals.significance import mean_interval

MEASURES = (
    "recall_at_5",
    "recall_at_10",
    "mrr",
    "ndcg_at_10",
    "citation_precision",
    "citation_recall",
    "judge_correctness",
    "judge_groundedness",
)


@dataclass(frozen=True, slots=True)
class Repeatability:
    """The same answers judged several times. `identical`: the share of answers whose verdicts all agree in both marks;
    the spreads are the mean distances between the highest and the lowest mark."""

    answers: int
    times: int
    identical: float
    correctness_spread: float
    groundedness_spread: float


@dataclass(frozen=True, slots=True)
class Summary:
    """`questions` were asked; those that `failed` are in no mean. Costs are USD a question, None where a price is unknown;
    latencies are milliseconds. `malformed` counts verdicts that could not be read, `unjudged` answers without any.
    """

    run: EvalRun
    questions: int
    failed: int
    degraded: int
    means: dict[str, Mean]
    intervals: dict[str, tuple[float, float] | None]
    refusal_precision: float | None
    refusal_recall: float | None
    cost_per_query_usd: float | None
    costs: dict[str, float | None]
    judge_per_query_usd: float | None
    latency_ms: dict[str, float | None]
    cache_hits: float | None
    malformed: int
    unjudged: int
    repeatability: Repeatability | None
    errors: dict[str, int] = field(default_factory=dict)

    def metrics(self) -> dict[str, float | None]:
        return {name: self.means[name].value for name in MEASURES} | {
            "refusal_precision": self.refusal_precision,
            "refusal_recall": self.refusal_recall,
        }


def summarised(run: EvalRun) -> Summary:
    rows = list(run.results.order_by("pk"))
    good = [row for row in rows if not row.error]
    values = {name: [row.measure(name) for row in good] for name in MEASURES}
    refused = refusals((row.answerable, bool(row.answered)) for row in good)
    judged = [row for row in good if row.judge]
    return Summary(
        run=run,
        questions=len(rows),
        failed=len(rows) - len(good),
        degraded=sum(bool(row.degraded) for row in good),
        means={name: mean(listed) for name, listed in values.items()},
        intervals={name: interval(name, known(listed)) for name, listed in values.items()},
        refusal_precision=refused.precision,
        refusal_recall=refused.recall,
        cost_per_query_usd=mean_if_all_known([row.measure("cost_usd") for row in good]),
        costs=costs_by_component(good),
        judge_per_query_usd=mean_if_all_known([as_float(row.judge_usd) for row in judged]),
        latency_ms={f"p{share}": percentile([row.latency_ms for row in good], share) for share in (50, 95)},
        cache_hits=mean(float(row.answer_cache == "hit") for row in good).value if run.answer_cache else None,
        malformed=sum(row.judge["malformed"] for row in judged),
        unjudged=sum(not row.judge["verdicts"] for row in judged),
        repeatability=repeatability(judged),
        errors=counted(row.error for row in rows if row.error),
    )


def interval(measure: str, values: Sequence[float]) -> tuple[float, float] | None:
    """95 %, within what the measure can be."""
    lowest, highest = (1.0, 5.0) if measure.startswith("judge_") else (0.0, 1.0)
    found = mean_interval(values)
    return None if found is None else (max(lowest, found[0]), min(highest, found[1]))


def costs_by_component(rows: Sequence[EvalResult]) -> dict[str, float | None]:
    """The mean over all questions, those that did not need the component included."""
    names = dict.fromkeys(name for row in rows for name in row.costs)
    return {name: mean_if_all_known([row.costs.get(name, 0.0) for row in rows]) for name in names}


def repeatability(judged: Iterable[EvalResult]) -> Repeatability | None:
    """Over the answers with at least two verdicts; None where there are none."""
    repeated = [row.judge["verdicts"] for row in judged if len(row.judge["verdicts"]) > 1]
    if not repeated:
        return None
    marks = [[(verdict["correctness"], verdict["groundedness"]) for verdict in verdicts] for verdicts in repeated]
    return Repeatability(
        answers=len(marks),
        times=max(map(len, marks)),
        identical=sum(len(set(each)) == 1 for each in marks) / len(marks),
        correctness_spread=mean_spread([[pair[0] for pair in each] for each in marks]),
        groundedness_spread=mean_spread([[pair[1] for pair in each] for each in marks]),
    )


def mean_spread(marks: Sequence[Sequence[int]]) -> float:
    return math.fsum(max(each) - min(each) for each in marks) / len(marks)


def percentile(values: Iterable[float | None], share: int) -> float | None:
    """Nearest rank: the smallest value that at least `share` percent do not exceed."""
    ordered = sorted(known(values))
    return ordered[math.ceil(share / 100 * len(ordered)) - 1] if ordered else None


def mean_if_all_known(values: Sequence[float | None]) -> float | None:
    """None as soon as one is unknown: a mean of the rest would look cheaper than it was."""
    return None if None in values else mean(values).value


def known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def as_float(value: Any) -> float | None:
    return None if value is None else float(value)


def counted(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts
