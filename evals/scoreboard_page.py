"""The scoreboard as its page shows it: plain values for a template."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evals.interval_chart import interval_chart
from evals.module_scores import METRICS, Metric, ModuleScore
from evals.scoreboard import Scoreboard
from evals.scoreboard_text import SIMULATED

HEADINGS: Mapping[str, str] = {
    "recall_at_5": "Recall@5",
    "recall_at_10": "Recall@10",
    "mrr": "MRR",
    "ndcg_at_10": "nDCG@10",
    "citation_precision": "citation precision",
    "citation_recall": "citation recall",
    "judge_correctness": "correctness, 1 to 5",
    "judge_groundedness": "groundedness, 1 to 5",
    "refusal_precision": "refusal precision",
    "refusal_recall": "refusal recall",
}
PLOTTED = "recall_at_5"


@dataclass(frozen=True, slots=True)
class Cell:
    value: str
    interval: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One module. `run` is the evaluation's number."""

    module: str
    run: int
    prompt_version: str
    cells: tuple[Cell, ...]


def context_of(board: Scoreboard) -> dict[str, Any]:
    plotted = [(score.module, score.metrics[PLOTTED]) for score in board.modules]
    return {
        "board": board,
        "simulated": SIMULATED if board.simulated else "",
        "chunks": ", ".join(f"{count:,} {chunker}" for chunker, count in board.corpus.chunks.items()),
        "chart": interval_chart(
            title="Recall@5 over the modules",
            values=[(name, metric.value, metric.low, metric.high) for name, metric in plotted],
        ),
        "headings": [*(HEADINGS[name] for name in METRICS), "USD a query", "p50 ms", "p95 ms"],
        "rows": [row(score) for score in board.modules],
        "lines": [(line.name.replace("_", " "), line) for line in board.gate.lines],
    }


def row(score: ModuleScore) -> Row:
    cost = Cell("-" if score.cost_per_query_usd is None else f"{score.cost_per_query_usd:.6f}")
    latencies = (Cell("-" if value is None else f"{value:,.0f}") for value in score.latency_ms.values())
    measured = (cell(score.metrics[name]) for name in METRICS)
    return Row(score.module, score.eval_run_id, score.prompt_version, (*measured, cost, *latencies))


def cell(metric: Metric) -> Cell:
    if metric.value is None:
        return Cell("-")
    if metric.low is None or metric.high is None:
        return Cell(f"{metric.value:.3f}")
    return Cell(f"{metric.value:.3f}", f"{metric.low:.2f} to {metric.high:.2f}")
