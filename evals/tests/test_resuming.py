"""Runs that several threads share, and one that is killed in the middle."""

import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from evals.models import EvalResult, EvalRun
from rag import clock, corpora
from rag.ingest import IngestReport
from rag.tests.serving import database_url
from rag.tests.small_world import break_provider, trace_lines

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


def command(small_set: Path) -> list[str]:
    return ["evaluate", "--dataset", str(small_set), "--corpus", "handbook", "--modules", "m3", "--no-judge"]


def killed_in_the_middle(small_set: Path, providers: str, log: Path) -> None:
    """An evaluation in a process of its own, killed as soon as two results are kept."""
    break_provider(providers, "anthropic.messages", kind="delay", delay_ms=150)
    environment = {**os.environ, "DATABASE_URL": database_url(), "TRACE_DIR": str(settings.TRACE_DIR)}
    with (
        log.open("ab") as out,
        subprocess.Popen(
            [sys.executable, "manage.py", *command(small_set), "--parallel", "2"],
            stdout=out,
            stderr=out,
            cwd=settings.BASE_DIR,
            env=environment,
        ) as process,
    ):
        while EvalResult.objects.count() < 2 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)


def test_a_run_that_was_killed_goes_on_where_it_was(
    corpus: IngestReport, small_set: Path, providers: str, tmp_path: Path
) -> None:
    killed_in_the_middle(small_set, providers, tmp_path / "killed.log")
    run = EvalRun.objects.get()
    before = dict(run.results.values_list("question_id", "trace_id"))
    assert run.state == "running"
    assert 2 <= len(before) < 14
    asked_before = sum(line["kind"] == "eval" for line in trace_lines())

    call_command("evaluate", "--resume", str(run.pk), "--parallel", "2")

    run.refresh_from_db()
    after = dict(run.results.values_list("question_id", "trace_id"))
    assert (run.state, len(after)) == ("done", 14)
    assert before.items() <= after.items()
    assert sum(line["kind"] == "eval" for line in trace_lines()) == asked_before + 14 - len(before)


def test_threads_share_the_questions_and_ask_each_once(corpus: IngestReport, small_set: Path) -> None:
    call_command(*command(small_set), "--parallel", "4")

    assert EvalRun.objects.get().state == "done"
    assert EvalResult.objects.count() == len([line for line in trace_lines() if line["kind"] == "eval"]) == 14


def test_a_budget_holds_for_all_threads_together(corpus: IngestReport, small_set: Path) -> None:
    call_command(*command(small_set), "--parallel", "4", "--budget", "0.08")

    run = EvalRun.objects.get()
    assert run.state == "stopped"
    assert 0 < run.cost_usd <= Decimal("0.08")


def test_a_run_that_somebody_alive_asks_is_left_to_them(corpus: IngestReport, small_set: Path) -> None:
    call_command(*command(small_set), "--budget", "0.06", "--parallel", "1")
    EvalRun.objects.update(state="running", runner=corpora.builder_name(), heartbeat_at=clock.now())

    with pytest.raises(CommandError, match="is being asked by"):
        call_command("evaluate", "--resume", str(EvalRun.objects.get().pk), "--budget", "5")
