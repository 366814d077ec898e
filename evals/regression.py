"""The regression gate: a small fixed set is asked of what serves, and held against what was stored when it was last good.

Two ways to fail. A mean falls below the 95 % interval that was stored for it: that is a collapse, so few questions have wide
intervals. Or, question by question, it is worse than what was stored by more than luck: that notices six questions of thirty.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.comparison import Arm, Comparison, Verdict, compare
from evals.errors import EvaluationRefused
from evals.models import EvalRun
from evals.module_scores import METRICS, ModuleScore, score_of
from evals.run_comparison import QUALITY, with_luck_shared
from evals.summary import summarised

STORED = Path(__file__).with_name("regression.json")
UPDATE = "manage.py regression --update"


@dataclass(frozen=True, slots=True)
class Fall:
    """`told` says what fell from where to where."""

    metric: str
    told: str


def stored(path: Path = STORED) -> dict[str, Any]:
    """Raises EvaluationRefused."""
    try:
        read: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationRefused(f"{path.name} cannot be read ({error}); `{UPDATE}` writes it") from error
    return read


def to_store(run: EvalRun) -> dict[str, Any]:
    score = score_of(summarised(run))
    return {
        "dataset": run.dataset,
        "dataset_sha256": run.dataset_sha256,
        "module": run.module,
        "questions": run.questions,
        "metrics": {name: ends(score, name) for name in METRICS},
        "by_question": values_of(run),
    }


def ends(score: ModuleScore, name: str) -> dict[str, float | None]:
    metric = score.metrics[name]
    return {end: rounded(getattr(metric, end)) for end in ("value", "low", "high")}


def values_of(run: EvalRun) -> dict[str, dict[str, float | None]]:
    """Measure -> question -> its value."""
    rows = list(run.results.order_by("question_id"))
    return {name: {row.question_id: rounded(row.measure(name)) for row in rows} for name in QUALITY}


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def falls(run: EvalRun, before: Mapping[str, Any]) -> list[Fall]:
    """Raises EvaluationRefused when the run did not ask what was stored."""
    if (run.dataset_sha256, run.module) != (before["dataset_sha256"], before["module"]):
        raise EvaluationRefused(f"what was stored is of other questions or of another module; `{UPDATE}` stores anew")
    failed = run.results.exclude(error="").count()
    if failed:
        return [Fall("questions", f"{failed} failed")]
    return [*below_intervals(score_of(summarised(run)), before["metrics"]), *worse_than(run, before["by_question"])]


def below_intervals(score: ModuleScore, metrics: Mapping[str, Mapping[str, float | None]]) -> list[Fall]:
    found = []
    for name, then in metrics.items():
        now, low = rounded(score.value(name)), then["low"]
        if low is not None and (now is None or now < low):
            found.append(Fall(name, f"{now} is below the stored interval {low} to {then['high']}"))
    return found


def worse_than(run: EvalRun, by_question: Mapping[str, Mapping[str, float | None]]) -> list[Fall]:
    now = values_of(run)
    comparisons = [
        compare(metric=name, before=Arm("stored", then), after=Arm("now", now[name]))
        for name, then in by_question.items()
    ]
    read_together = with_luck_shared(comparisons)
    return [Fall(each.metric, told(each)) for each in read_together if each.verdict is Verdict.WORSE]


def told(comparison: Comparison) -> str:
    turned = ", ".join(pair.question_id for pair in comparison.losses[:10])
    return f"worse by more than luck: {comparison.difference:+.3f} over {len(comparison.pairs)} questions, worse in {turned}"
