"""Evaluations that were asked for in the admin and are carried out by workers: the oldest first, one at a time in each mode.

The row is the queue. A run whose worker was killed is found by its silence and goes on where it was.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from evals.errors import EvaluationRefused
from evals.models import EvalRun
from evals.planning import Plan, planned
from evals.running import PARALLEL, carry_out, ended, is_dead, to_resume
from rag import clock, tasks_queue

log = logging.getLogger(__name__)

TASK = "evals.tasks.ask_waiting_runs"


def asked_for(plan: Plan) -> tuple[EvalRun, ...]:
    """The plan's runs, left to the workers. Raises EvaluationRefused."""
    runs = planned(plan)
    leave_to_workers(runs)
    return runs


def leave_to_workers(runs: Sequence[EvalRun]) -> None:
    """Whatever of the runs nobody is asking. If the broker is away, the next periodic task finds them."""
    now = clock.now()
    free = [run.pk for run in runs if run.state != EvalRun.State.RUNNING or is_dead(run, now)]
    EvalRun.objects.filter(pk__in=free).update(
        state=EvalRun.State.QUEUED, by_worker=True, stop_asked=False, finished_at=None, error=""
    )
    tasks_queue.send(TASK)


def resumed(run: EvalRun, *, budget_usd: Decimal | None) -> tuple[EvalRun, ...]:
    """What is not finished of the runs that were asked for together with this one. Raises EvaluationRefused."""
    runs = to_resume(run.pk, budget_usd=budget_usd)
    leave_to_workers(runs)
    return runs


def stop(run: EvalRun) -> None:
    """What is under way of this run and of those that were asked for with it ends after the questions that are being asked."""
    now = clock.now()
    for each in EvalRun.objects.filter(batch=run.batch, state__in=(EvalRun.State.QUEUED, EvalRun.State.RUNNING)):
        if each.state == EvalRun.State.RUNNING and not is_dead(each, now):
            EvalRun.objects.filter(pk=each.pk).update(stop_asked=True)
        else:
            ended(each, EvalRun.State.STOPPED, "stopped in the admin")


def ask_waiting_runs(*, parallel: int = PARALLEL) -> None:
    """Asks until nothing waits that can be asked now."""
    while (run := next_run(clock.now())) is not None:
        try:
            carry_out([run], parallel=parallel)
        except EvaluationRefused as refusal:
            log.warning("evaluation not asked: %s", refusal, extra={"run": run.pk})
            if not is_settled(run):
                return  # somebody else was quicker: they go on with the rest


def next_run(now: datetime) -> EvalRun | None:
    """Of a mode in which nobody asks: the run whose worker died, else the one that waits longest."""
    waiting = EvalRun.objects.filter(by_worker=True, state__in=(EvalRun.State.RUNNING, EvalRun.State.QUEUED))
    by_mode: dict[str, list[EvalRun]] = {}
    for run in waiting.order_by("pk"):
        by_mode.setdefault(run.provider_mode, []).append(run)
    ready = (first_of(runs, now) for runs in by_mode.values())
    return next((run for run in ready if run is not None), None)


def first_of(runs: Iterable[EvalRun], now: datetime) -> EvalRun | None:
    ordered = sorted(runs, key=lambda run: (run.state != EvalRun.State.RUNNING, run.pk))
    first = ordered[0]
    return None if first.state == EvalRun.State.RUNNING and not is_dead(first, now) else first


def is_settled(run: EvalRun) -> bool:
    """Whether its row says how it ended, so that it is not tried again."""
    run.refresh_from_db()
    return run.state not in (EvalRun.State.RUNNING, EvalRun.State.QUEUED)
