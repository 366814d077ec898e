"""Carrying out runs: the questions that have no result yet are asked in parallel, and each result is kept at once.

A run that was killed, stopped, or reached its budget goes on where it was. Questions that failed are asked again then.
"""

import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import IntegrityError, connections, transaction
from django.db.models import Q, Sum

from evals.asking import Examiner, sum_of
from evals.errors import CorpusMoved, EvaluationRefused
from evals.estimates import expected_cost
from evals.judge import Judge
from evals.models import EvalResult, EvalRun
from evals.planning import questions_for, refuse_if_changed
from evals.purse import Purse
from evals.questions import EvalQuestion
from prompts.versions import active_texts
from rag import clock, corpora, provider_stack, wiring
from rag.providers.contracts import ChatModel
from rag.providers.metered import Meter

PARALLEL = 4
SILENT_FOR = timedelta(minutes=3)
JUDGE_SAMPLE = 10
"""answers of a run that are judged `judge_repeat` times, spread over its questions"""
UNFINISHED = (EvalRun.State.QUEUED, EvalRun.State.RUNNING, EvalRun.State.STOPPED, EvalRun.State.FAILED)


@dataclass(frozen=True, slots=True)
class Status:
    """How far a run is. `spent_usd` is the batch's."""

    run: EvalRun
    done: int
    failed: int
    spent_usd: Decimal


Report = Callable[[Status], None]


def carry_out(runs: Sequence[EvalRun], *, parallel: int = PARALLEL, report: Report = lambda status: None) -> None:
    """Ask what is still to be asked of the runs, one run after the other, until all are done or the budget is spent.

    Raises EvaluationRefused when a run cannot go on, and KeyboardInterrupt; the rows say how far it came.
    """
    for place, run in enumerate(runs):
        if not carried_out(run, parallel=parallel, report=report):
            reason = f"{run} stopped before: {run.error}"
            EvalRun.objects.filter(pk__in=[each.pk for each in runs[place + 1 :]]).update(
                state=EvalRun.State.STOPPED, error=reason
            )
            return


def to_resume(run_id: int, *, budget_usd: Decimal | None) -> tuple[EvalRun, ...]:
    """The runs of the batch of that run that are not finished, or have questions that failed. A budget replaces the batch's.

    Raises EvaluationRefused.
    """
    named = EvalRun.objects.filter(pk=run_id).first()
    if named is None:
        raise EvaluationRefused(f"there is no run {run_id}")
    batch = EvalRun.objects.filter(batch=named.batch)
    if budget_usd is not None:
        if budget_usd <= 0:
            raise EvaluationRefused("a budget must be more than 0")
        batch.update(budget_usd=budget_usd)
    open_runs = batch.filter(Q(state__in=UNFINISHED) | Q(results__error__gt="")).distinct().order_by("pk")
    if not open_runs:
        raise EvaluationRefused(f"nothing is left to ask of {named} and the runs that were asked for with it")
    return tuple(open_runs)


def carried_out(run: EvalRun, *, parallel: int, report: Report) -> bool:
    """Whether every question of the run has been asked."""
    claim(run, clock.now())
    try:
        work = work_for(run, report)
        work.all_done(parallel)
    except KeyboardInterrupt:
        ended(run, EvalRun.State.STOPPED, "interrupted")
        raise
    except (EvaluationRefused, CorpusMoved) as error:
        ended(run, EvalRun.State.STOPPED, str(error))
        raise EvaluationRefused(str(error)) from error
    except BaseException as error:
        ended(run, EvalRun.State.FAILED, f"unexpected: {type(error).__name__}: {error}")
        raise
    if work.told_to_stop:
        ended(run, EvalRun.State.STOPPED, "stopped in the admin")
        return False
    if work.purse.exhausted:
        ended(run, EvalRun.State.STOPPED, f"one more question would exceed the budget of ${run.budget_usd:f}")
        return False
    ended(run, EvalRun.State.DONE, "")
    return True


def claim(run: EvalRun, now: datetime) -> None:
    """Take the run, unless somebody alive has it; of two that try at once one gets it. Workers ask one at a time in each mode.

    Raises EvaluationRefused.
    """
    run.refresh_from_db()
    if run.state == EvalRun.State.RUNNING and not is_dead(run, now):
        raise EvaluationRefused(f"{run} is being asked by {run.runner}; wait until it is done")
    unchanged = EvalRun.objects.filter(pk=run.pk, state=run.state, runner=run.runner, heartbeat_at=run.heartbeat_at)
    run.state, run.runner, run.heartbeat_at = EvalRun.State.RUNNING, corpora.builder_name(), now
    run.started_at, run.finished_at, run.error, run.stop_asked = run.started_at or now, None, "", False
    fields = ("state", "runner", "heartbeat_at", "started_at", "finished_at", "error", "stop_asked")
    try:
        with transaction.atomic():
            claimed = unchanged.update(**{name: getattr(run, name) for name in fields})
    except IntegrityError as error:
        raise EvaluationRefused(f"{run} waits: another run of these providers is being asked") from error
    if not claimed:
        raise EvaluationRefused(f"somebody else has just begun to ask {run}")


def is_dead(run: EvalRun, now: datetime) -> bool:
    """Whether nobody asks it any more: its process is gone (on this host), or it was silent for too long."""
    host, _, pid = run.runner.rpartition(":")
    silent = now - (run.heartbeat_at or run.created_at)
    if host == socket.gethostname() and pid.isdecimal():
        return silent > corpora.DEAD_ANYWAY_AFTER or not corpora.process_exists(int(pid))
    return silent > SILENT_FOR


def ended(run: EvalRun, state: EvalRun.State, error: str) -> None:
    run.state, run.error, run.finished_at = state, error, clock.now()
    run.save(update_fields=["state", "error", "finished_at"])


def work_for(run: EvalRun, report: Report) -> "Work":
    """Raises EvaluationRefused."""
    wired, questions = refuse_if_changed(run), questions_for(run)
    kept = dict(run.results.values_list("question_id", "error"))
    todo = [question for question in questions if kept.get(question.id, "not asked")]
    batch = EvalRun.objects.filter(batch=run.batch)
    examiner = Examiner(
        run=run,
        passages=wired.parts.passages,
        judge=judge_for(run, wired) if run.judge_model else None,
        sample=sample_of(questions),
    )
    purse = Purse(
        budget=run.budget_usd,
        spent=batch.aggregate(sum=Sum("cost_usd"))["sum"] or Decimal(0),
        expected=expected_cost(run) or Decimal(0),
    )
    return Work(examiner, todo, purse, report)


def judge_for(run: EvalRun, wired: wiring.Wired) -> Judge:
    prices = wired.meter.prices

    def connect() -> tuple[ChatModel, Meter]:
        meter = Meter(prices=prices, now=clock.now)
        return provider_stack.chat(meter, "judge", settings.GENERATION_TIMEOUT_S), meter

    return Judge(
        model=run.judge_model,
        prompt=active_texts()["judge"],
        temperature=wiring.temperature(prices, run.judge_model),
        connect=connect,
    )


def sample_of(questions: Sequence[EvalQuestion]) -> frozenset[str]:
    step = max(1, len(questions) // JUDGE_SAMPLE)
    return frozenset(question.id for question in questions[::step][:JUDGE_SAMPLE])


class Work:
    """The questions of one run that are still to be asked, for several threads to take from."""

    def __init__(self, examiner: Examiner, todo: Sequence[EvalQuestion], purse: Purse, report: Report) -> None:
        self.purse = purse
        self.told_to_stop = False
        self._examiner = examiner
        self._run = examiner.run
        self._todo = list(reversed(todo))
        self._report = report
        self._failed = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._done = self._run.questions - len(todo)

    def all_done(self, parallel: int) -> None:
        """This thread works too, beside `parallel - 1` others. The first error stops all of them, and is raised."""
        self._tell()
        with ThreadPoolExecutor(max(1, parallel - 1), thread_name_prefix="evaluate") as pool:
            helpers = [pool.submit(self._help) for _ in range(parallel - 1)]
            self._take_turns()
        for helper in helpers:
            helper.result()

    def _help(self) -> None:
        try:
            self._take_turns()
        finally:
            connections.close_all()

    def _take_turns(self) -> None:
        try:
            while (question := self._next()) is not None:
                self._keep(self._examiner.examined(question))
        except BaseException:
            self._stop.set()
            raise

    def _next(self) -> EvalQuestion | None:
        with self._lock:
            if self._stop.is_set() or not self._todo or not self.purse.reserve():
                return None
            return self._todo.pop()

    def _keep(self, result: EvalResult) -> None:
        """The result, and with it what the run has cost so far."""
        with self._lock:
            self.purse.settle(result.spent_usd)
            self._run.cost_usd = sum_of(self._run.cost_usd, result.spent_usd)
            self._run.heartbeat_at = clock.now()
            with transaction.atomic():
                EvalResult.objects.filter(run=self._run, question_id=result.question_id).delete()
                result.save(force_insert=True)
                self._run.save(update_fields=["cost_usd", "heartbeat_at"])
            self._done += 1
            self._failed += bool(result.error)
            self._look_whether_to_stop()
            self._tell()

    def _look_whether_to_stop(self) -> None:
        if self._todo and EvalRun.objects.filter(pk=self._run.pk, stop_asked=True).exists():
            self.told_to_stop = True
            self._stop.set()

    def _tell(self) -> None:
        self._report(Status(self._run, self._done, self._failed, self.purse.spent))
