"""Did an edit of the answer prompt help? The version against the one that serves, on the same questions."""

from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings

from evals.errors import EvaluationRefused
from evals.estimates import expected_cost
from evals.models import EvalRun
from evals.planning import DEFAULT_DATASET, Plan, drafted, planned
from evals.reusing import usable_run
from evals.worker_runs import leave_to_workers

ROOM = Decimal("1.5")
"""the budget is so many times the estimate"""
LEAST_BUDGET = Decimal("0.50")


@dataclass(frozen=True, slots=True)
class Trial:
    """What has to be asked to compare two versions. `missing`: those without a run that can be used; USD None = unpriced."""

    before: str
    after: str
    missing: tuple[str, ...]
    questions: int
    estimate_usd: Decimal | None
    simulated: bool

    @property
    def budget_usd(self) -> Decimal | None:
        if self.estimate_usd is None:
            return None
        return max(LEAST_BUDGET, (ROOM * self.estimate_usd).quantize(Decimal("0.01")))


def trial_of(*, before: str, after: str) -> Trial:
    """Raises EvaluationRefused."""
    drafts = drafted(plan_for((before, after), None, None))
    missing = tuple(run for run in drafts if usable(run.prompt_version) is None)
    costs = [expected_cost(run) for run in missing]
    known = [cost * run.questions for cost, run in zip(costs, missing, strict=True) if cost is not None]
    return Trial(
        before=before,
        after=after,
        missing=tuple(run.prompt_version for run in missing),
        questions=drafts[0].questions,
        estimate_usd=sum(known, Decimal(0)) if len(known) == len(missing) else None,
        simulated=drafts[0].provider_mode != "live",
    )


def started(trial: Trial, *, asked_by_id: int | None) -> tuple[EvalRun, EvalRun]:
    """Both runs, (before, after); what has to be asked is left to the workers. Raises EvaluationRefused."""
    found = {version: usable(version) for version in (trial.before, trial.after)}
    missing = tuple(version for version, run in found.items() if run is None)
    fresh = planned(plan_for(missing, trial.budget_usd, asked_by_id)) if missing else ()
    runs = [run for run in found.values() if run is not None] + list(fresh)
    leave_to_workers([run for run in runs if run.state != EvalRun.State.DONE])
    by_version = {run.prompt_version: run for run in runs}
    try:
        return by_version[trial.before], by_version[trial.after]
    except KeyError as error:
        raise EvaluationRefused(f"there is no version {error} of the answer prompt") from error


def usable(version: str) -> EvalRun | None:
    return usable_run(settings.DEFAULT_MODULE, version=version)


def plan_for(versions: tuple[str, ...], budget_usd: Decimal | None, asked_by_id: int | None) -> Plan:
    return Plan(
        dataset=DEFAULT_DATASET,
        modules=(settings.DEFAULT_MODULE,),
        prompt_versions=versions,
        budget_usd=budget_usd,
        asked_by_id=asked_by_id,
    )
