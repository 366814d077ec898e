"""Evaluations that workers carry out: one at a time, stopped, killed and resumed."""

import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction

from evals import worker_runs
from evals.errors import EvaluationRefused
from evals.models import EvalResult, EvalRun
from evals.planning import Plan
from evals.running import carry_out
from rag import clock, corpora
from rag.ingest import IngestReport
from rag.tests.small_world import trace_lines

pytestmark = pytest.mark.django_db
DEAD = "another-host:1"


def plan(small_set: Path, **more: object) -> Plan:
    known = {"modules": ("m3-hybrid",), "corpus": "handbook", "judge": False}
    return Plan(dataset=str(small_set), **known | more)  # type: ignore[arg-type]


def asked_for(small_set: Path, **more: object) -> EvalRun:
    (run,) = worker_runs.asked_for(plan(small_set, **more))
    return run


def states() -> list[str]:
    return list(EvalRun.objects.order_by("pk").values_list("state", flat=True))


def test_what_was_asked_for_waits_until_a_worker_asks_it(corpus: IngestReport, small_set: Path) -> None:
    run = asked_for(small_set)
    assert (run.state, EvalResult.objects.count()) == ("queued", 0)

    worker_runs.ask_waiting_runs(parallel=1)

    run.refresh_from_db()
    assert (run.state, run.results.count(), run.cost_usd > 0) == ("done", 14, True)


def test_runs_are_asked_one_after_the_other(corpus: IngestReport, small_set: Path) -> None:
    first, second = asked_for(small_set, limit=2), asked_for(small_set, limit=3)

    worker_runs.ask_waiting_runs(parallel=1)

    first.refresh_from_db()
    second.refresh_from_db()
    assert first.finished_at and second.started_at
    assert first.finished_at <= second.started_at


def test_while_somebody_alive_asks_nobody_else_does(corpus: IngestReport, small_set: Path) -> None:
    busy, waiting = asked_for(small_set), asked_for(small_set)
    EvalRun.objects.filter(pk=busy.pk).update(
        state="running", runner=corpora.builder_name(), heartbeat_at=clock.now(), started_at=clock.now()
    )

    worker_runs.ask_waiting_runs(parallel=1)

    assert states() == ["running", "queued"]
    with pytest.raises(EvaluationRefused, match="waits: another run"):
        carry_out([waiting])


def test_the_database_itself_keeps_two_from_asking_at_once(corpus: IngestReport, small_set: Path) -> None:
    asked_for(small_set), asked_for(small_set)

    with pytest.raises(IntegrityError), transaction.atomic():
        EvalRun.objects.update(state="running")


def test_a_run_whose_worker_was_killed_goes_on_where_it_was(corpus: IngestReport, small_set: Path) -> None:
    run = asked_for(small_set)
    worker_runs.ask_waiting_runs(parallel=1)
    EvalResult.objects.filter(question_id__startswith="strange").delete()
    before = dict(run.results.values_list("question_id", "trace_id"))
    silent = clock.now() - timedelta(minutes=5)
    EvalRun.objects.update(state="running", runner=DEAD, heartbeat_at=silent)
    later = asked_for(small_set, limit=1)

    assert worker_runs.next_run(clock.now()) == run
    worker_runs.ask_waiting_runs(parallel=1)

    run.refresh_from_db()
    later.refresh_from_db()
    after = dict(run.results.values_list("question_id", "trace_id"))
    assert (run.state, later.state, len(after)) == ("done", "done", 14)
    assert before.items() <= after.items()


def test_a_run_that_is_told_to_stop_ends_after_the_questions_under_way(corpus: IngestReport, small_set: Path) -> None:
    run = asked_for(small_set)
    told = []

    def stop_after_three(status: object) -> None:
        if status.done == 3:  # type: ignore[attr-defined]
            EvalRun.objects.filter(pk=run.pk).update(stop_asked=True)
            told.append(status)

    carry_out([run], parallel=1, report=stop_after_three)

    run.refresh_from_db()
    assert (run.state, run.error, run.results.count()) == ("stopped", "stopped in the admin", 4)


def test_stopping_ends_what_waits_at_once_and_it_can_go_on(corpus: IngestReport, small_set: Path) -> None:
    first, second = worker_runs.asked_for(plan(small_set, modules=("m1-baseline", "m3-hybrid"), limit=2))

    worker_runs.stop(first)
    assert states() == ["stopped", "stopped"]
    worker_runs.ask_waiting_runs(parallel=1)
    assert not trace_lines()

    assert worker_runs.resumed(second, budget_usd=None) == (first, second)
    worker_runs.ask_waiting_runs(parallel=1)
    assert states() == ["done", "done"]


def test_a_budget_stops_the_whole_batch_and_more_money_lets_it_go_on(corpus: IngestReport, small_set: Path) -> None:
    runs = worker_runs.asked_for(plan(small_set, modules=("m1-baseline", "m3-hybrid"), budget_usd=Decimal("0.06")))
    worker_runs.ask_waiting_runs(parallel=1)
    assert states() == ["stopped", "stopped"]

    worker_runs.resumed(runs[0], budget_usd=Decimal(5))
    worker_runs.ask_waiting_runs(parallel=1)

    assert states() == ["done", "done"]


def test_a_run_that_cannot_be_asked_says_why_and_holds_nobody_up(corpus: IngestReport, small_set: Path) -> None:
    impossible, _ = asked_for(small_set), asked_for(small_set, limit=1)
    EvalRun.objects.filter(pk=impossible.pk).update(corpus_version="v9")

    worker_runs.ask_waiting_runs(parallel=1)

    impossible.refresh_from_db()
    assert states() == ["stopped", "done"]
    assert "the corpus version changed" in impossible.error


def test_the_worker_takes_over_from_a_dead_process_of_this_host_at_once(corpus: IngestReport, small_set: Path) -> None:
    run = asked_for(small_set, limit=1)
    host = corpora.builder_name().rpartition(":")[0]
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    EvalRun.objects.update(state="running", runner=f"{host}:{gone.pid}", heartbeat_at=clock.now())

    worker_runs.ask_waiting_runs(parallel=1)

    run.refresh_from_db()
    assert run.state == "done"
