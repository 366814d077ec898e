"""One pipeline's row on the scoreboard: what its evaluation run came to, with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evals.metrics import refusals
from evals.significance import share_interval
from evals.summary import MEASURES, Summary

METRICS = (*MEASURES, "refusal_precision", "refusal_recall")


@dataclass(frozen=True, slots=True)
class Metric:
    """A mean with its 95 % interval; None where it has none."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class ModuleScore:
    """`metrics` has every name of METRICS. Costs are USD a question, None where a price is unknown; latencies `p50` and `p95`
    in milliseconds. `failed` questions are in no mean.
    """

    module: str
    eval_run_id: int
    questions: int
    failed: int
    prompt_version: str
    metrics: Mapping[str, Metric]
    cost_per_query_usd: float | None
    latency_ms: Mapping[str, float | None]

    def value(self, metric: str) -> float | None:
        return self.metrics[metric].value


def score_of(summary: Summary) -> ModuleScore:
    values, intervals = summary.metrics(), summary.intervals | refusal_intervals(summary)
    ends = {name: intervals.get(name) or (None, None) for name in METRICS}
    return ModuleScore(
        module=summary.run.module,
        eval_run_id=summary.run.pk,
        questions=summary.questions,
        failed=summary.failed,
        prompt_version=summary.run.prompt_version,
        metrics={name: Metric(values[name], *ends[name]) for name in METRICS},
        cost_per_query_usd=summary.cost_per_query_usd,
        latency_ms=dict(summary.latency_ms),
    )


def refusal_intervals(summary: Summary) -> dict[str, tuple[float, float] | None]:
    """Of the refusals those that were right; of the questions that nothing answers those that were refused."""
    rows = summary.run.results.filter(error="").values_list("answerable", "answered")
    counted = refusals((answerable, bool(answered)) for answerable, answered in rows)
    return {
        "refusal_precision": share_interval(counted.rightly, counted.rightly + counted.wrongly),
        "refusal_recall": share_interval(counted.rightly, counted.rightly + counted.missed),
    }


def score_from_json(row: Mapping[str, Any]) -> ModuleScore:
    """What `dataclasses.asdict` made of a ModuleScore."""
    return ModuleScore(**{**row, "metrics": {name: Metric(**each) for name, each in row["metrics"].items()}})
