"""Two runs of the same questions, held against each other measure by measure."""

from collections.abc import Sequence

from evals.comparison import Arm, Comparison, compare, read_together
from evals.errors import EvaluationRefused
from evals.models import EvalRun
from evals.summary import MEASURES

QUALITY = (
    "recall_at_5",
    "citation_precision",
    "citation_recall",
    "refusal_right",
    "judge_correctness",
    "judge_groundedness",
)
"""what is compared when no measure is named: few, because each more makes a difference in all of them harder to show"""
LOWER_IS_BETTER = frozenset({"cost_usd", "latency_ms"})
COMPARABLE = tuple(dict.fromkeys((*QUALITY, *MEASURES, *sorted(LOWER_IS_BETTER))))


def compared(before: EvalRun, after: EvalRun, *, measures: Sequence[str] = QUALITY) -> tuple[Comparison, ...]:
    """One comparison a measure, read together. Measures that neither run has are left out.

    Raises EvaluationRefused when the runs cannot be compared.
    """
    refuse_unlike(before, after)
    refuse_unlike_judges(before, after, measures)
    arms = [(name, arm(before, name), arm(after, name)) for name in measures]
    found = [(name, one, other) for name, one, other in arms if measured(one) or measured(other)]
    if not found:
        raise EvaluationRefused(f"neither {before} nor {after} has {' or '.join(measures)}")
    try:
        return with_luck_shared(
            [
                compare(metric=name, before=one, after=other, higher_is_better=name not in LOWER_IS_BETTER)
                for name, one, other in found
            ]
        )
    except ValueError as error:
        raise EvaluationRefused(f"{error}; ask both the same questions") from error


def with_luck_shared(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Read together are those in which a question changed: the others could not have been called a difference (Tarone 1990)."""
    changed = [each for each in comparisons if each.wins or each.losses]
    adjusted = {each.metric: each for each in read_together(changed)}
    return tuple(adjusted.get(each.metric, each) for each in comparisons)


def refuse_unlike(before: EvalRun, after: EvalRun) -> None:
    if before.pk == after.pk:
        raise EvaluationRefused("a run is not compared with itself")
    if before.dataset_sha256 != after.dataset_sha256:
        raise EvaluationRefused(
            f"{before} and {after} did not ask the same data set: {before.dataset}, {after.dataset}"
        )
    if before.provider_mode != after.provider_mode:
        raise EvaluationRefused(f"{before} is {before.provider_mode}, {after} is {after.provider_mode}")


def refuse_unlike_judges(before: EvalRun, after: EvalRun, measures: Sequence[str]) -> None:
    judges = [(run.judge_model, run.prompts.get("judge")) for run in (before, after)]
    needed = any(measure.startswith("judge_") for measure in measures)
    if needed and all(model for model, _ in judges) and judges[0] != judges[1]:
        raise EvaluationRefused(f"{before} and {after} had different judges; name the metrics that are not theirs")


def arm(run: EvalRun, measure: str) -> Arm:
    return Arm(str(run), {row.question_id: row.measure(measure) for row in run.results.all()})


def measured(arm: Arm) -> bool:
    return any(value is not None for value in arm.values.values())


def texts_of(run: EvalRun) -> dict[str, str]:
    return dict(run.results.values_list("question_id", "question"))
