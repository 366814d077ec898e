"""How far a run is, for pages that follow it."""

from dataclasses import dataclass
from decimal import Decimal

from evals.estimates import expected_cost
from evals.models import EvalRun
from evals.running import is_dead
from rag import clock

FOLLOWED_EVERY_S = 3


@dataclass(frozen=True, slots=True)
class Progress:
    """`estimate_usd`: of the whole run, judging included; None where a price is unknown. `told`: its state in words."""

    run: EvalRun
    done: int
    failed: int
    estimate_usd: Decimal | None
    told: str

    @property
    def under_way(self) -> bool:
        return self.run.state in (EvalRun.State.QUEUED, EvalRun.State.RUNNING)


def progress_of(run: EvalRun) -> Progress:
    errors = list(run.results.values_list("error", flat=True))
    each = expected_cost(run)
    return Progress(
        run=run,
        done=len(errors),
        failed=sum(bool(error) for error in errors),
        estimate_usd=None if each is None else each * run.questions,
        told=told(run),
    )


def told(run: EvalRun) -> str:
    if run.state == EvalRun.State.RUNNING and is_dead(run, clock.now()):
        return "nobody asks it any more; a worker takes it over" if run.by_worker else "whoever asked it is gone"
    if run.state == EvalRun.State.RUNNING and run.stop_asked:
        return "stopping after the questions under way"
    if run.state == EvalRun.State.QUEUED:
        return "waits for a worker"
    return run.error
