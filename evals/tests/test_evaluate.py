"""`manage.py evaluate` through the front door: what it measures, what it refuses, and when it stops."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from costs.models import LedgerEntry, ModelPrice
from evals.errors import EvaluationRefused
from evals.models import EvalResult, EvalRun
from evals.planning import Plan, planned
from evals.running import Status, carry_out
from prompts.models import Prompt
from prompts.publishing import activate, bump
from rag.ingest import IngestReport, ingest
from rag.models import TraceSummary
from rag.provider_stack import POLICY
from rag.replaying import replay
from rag.tests.small_world import break_provider, line_of, trace_lines

pytestmark = pytest.mark.django_db


def evaluate(small_set: Path, *more: str, modules: str = "m3", judge: bool = False) -> dict[str, Any]:
    """What it writes as JSON."""
    report = small_set.with_suffix(".report")
    command = ["evaluate", "--dataset", str(small_set), "--corpus", "handbook", "--modules", modules, *more]
    call_command(*command, "--judge" if judge else "--no-judge", "--parallel", "1", "--json", str(report))
    read: dict[str, Any] = json.loads(report.read_text())
    return read


def refusal(*command: str) -> str:
    with pytest.raises(CommandError) as refused:
        call_command("evaluate", *command)
    assert refused.value.returncode == 2
    assert not EvalRun.objects.exists()
    return str(refused.value)


class TestWhatItMeasures:
    def test_the_report_has_every_metric_of_every_run(self, corpus: IngestReport, small_set: Path) -> None:
        (run,) = evaluate(small_set, judge=True)["runs"]

        assert (run["module"], run["prompt_version"], run["questions"], run["failed"]) == ("m3-hybrid", "v1", 14, 0)
        assert run["metrics"]["recall_at_5"] == run["metrics"]["recall_at_10"] == 1.0
        assert run["metrics"]["refusal_recall"] == 1.0
        assert all(value is not None for value in run["metrics"].values())
        assert run["cost_per_query_usd"] > 0
        assert run["provider_mode"] == "simulated"

    def test_every_question_is_traced_as_an_evaluation_priced_and_replayable(
        self, corpus: IngestReport, small_set: Path
    ) -> None:
        evaluate(small_set)

        for result in EvalResult.objects.all():
            line = line_of(result.trace_id)
            assert line["kind"] == TraceSummary.objects.get(trace_id=result.trace_id).kind == "eval"
            assert line["cost_usd"] == float(result.cost_usd or 0) > 0
            assert replay(line).identical

    def test_the_run_says_what_it_measured(self, corpus: IngestReport, small_set: Path) -> None:
        evaluate(small_set, judge=True)

        run = EvalRun.objects.get()
        assert (run.state, run.dataset, run.corpus, run.corpus_version) == ("done", "small", "handbook", "v1")
        assert run.config["rerank"] is True
        assert run.prompts["answer"]["version"] == run.prompts["judge"]["version"] == "v1"
        assert run.model_names["answer"] == "claude-sonnet-4-6"
        assert (run.judge_model, run.judge_prompt_version) == ("claude-haiku-4-5", "v1")

    def test_the_judge_is_booked_apart_from_the_answers(self, corpus: IngestReport, small_set: Path) -> None:
        (report,) = evaluate(small_set, judge=True)["runs"]

        run = EvalRun.objects.get()
        booked = {kind: total(kind) for kind in ("eval", "judge")}
        assert booked["judge"] > 0
        assert run.cost_usd == booked["eval"] + booked["judge"]
        assert report["cost_per_query_usd"] == pytest.approx(float(booked["eval"]) / 14)

    def test_all_modules_are_asked_in_turn(self, corpus: IngestReport, small_set: Path) -> None:
        runs = evaluate(small_set, "--limit", "3", modules="m1,m4-transform,m1")["runs"]

        assert [(run["module"], run["questions"]) for run in runs] == [("m1-baseline", 3), ("m4-transform", 3)]
        assert EvalRun.objects.values("batch").distinct().count() == 1

    def test_kept_answers_are_never_used_but_in_a_pass_of_their_own(
        self, corpus: IngestReport, small_set: Path
    ) -> None:
        evaluate(small_set, "--limit", "6", modules="m6")
        (run,) = evaluate(small_set, "--limit", "6", "--cache", modules="m6")["runs"]

        assert run["cost_per_query_usd"] > 0
        assert run["answer_cache"]["hits"] == 1.0
        assert run["answer_cache"]["cost_per_query_usd"] == 0

    def test_an_answer_judged_again_shows_how_far_the_judge_repeats_itself(
        self, corpus: IngestReport, small_set: Path
    ) -> None:
        (run,) = evaluate(small_set, "--judge-repeat", "3", judge=True)["runs"]

        assert run["judge"]["repeatability"] == {
            "answers": 10,
            "times": 3,
            "identical": 1.0,
            "correctness_spread": 0.0,
            "groundedness_spread": 0.0,
        }

    def test_a_judge_that_talks_nonsense_costs_no_answer_its_other_measures(
        self, corpus: IngestReport, small_set: Path, providers: str
    ) -> None:
        break_provider(providers, "anthropic.messages", match="You grade an answer", kind="status", status=400)

        (run,) = evaluate(small_set, "--limit", "2", judge=True)["runs"]

        assert (run["failed"], run["judge"]["unjudged"]) == (0, 2)
        assert run["metrics"]["recall_at_5"] == 1.0
        assert run["metrics"]["judge_correctness"] is None


class TestWhatItRefuses:
    def test_an_unknown_data_set(self, db: None) -> None:
        assert "django-topics" in refusal("--dataset", "nothing")

    def test_a_corpus_that_is_not_there(self, db: None, small_set: Path) -> None:
        assert "there is no corpus 'nowhere'" in refusal("--dataset", str(small_set), "--corpus", "nowhere")

    @pytest.mark.parametrize(
        ("option", "value", "reason"),
        [
            ("--budget", "0", "more than 0"),
            ("--limit", "0", "at least one question"),
            ("--modules", "m9", "m9"),
            ("--prompt-version", "v99", "no version 'v99'"),
            ("--json", "/no/such/folder/report.json", "no such folder"),
            ("--resume", "12345", "no run 12345"),
        ],
    )
    def test_what_cannot_be_done(
        self, corpus: IngestReport, small_set: Path, option: str, value: str, reason: str
    ) -> None:
        assert reason in refusal("--dataset", str(small_set), "--corpus", "handbook", option, value)

    def test_a_judge_that_would_grade_its_own_answers(
        self, corpus: IngestReport, small_set: Path, settings: Settings
    ) -> None:
        settings.JUDGE_MODEL = settings.ANSWER_MODEL

        assert "its own answers" in refusal("--dataset", str(small_set), "--corpus", "handbook")

    def test_a_budget_that_nobody_can_keep_because_a_price_is_unknown(
        self, corpus: IngestReport, small_set: Path, settings: Settings
    ) -> None:
        ModelPrice.objects.filter(model=settings.RERANK_MODEL).delete()

        said = refusal("--dataset", str(small_set), "--corpus", "handbook", "--modules", "m3", "--budget", "1")

        assert "no budget can be kept" in said

    def test_a_transform_that_is_on_trial_because_questions_would_get_one_or_the_other(
        self, corpus: IngestReport, small_set: Path
    ) -> None:
        hyde = Prompt.objects.get(name="hyde")
        tried = bump(prompt=hyde, instructions="Write a hypothetical passage.", examples="", note="x", author=None)
        activate(version=tried.version, who=None, why="a trial", share=50)

        said = refusal("--dataset", str(small_set), "--corpus", "handbook", "--modules", "m4")

        assert "'hyde' is on trial" in said
        assert evaluate(small_set, "--limit", "1")["runs"][0]["state"] == "done"


class TestWhenItStops:
    def test_a_budget_is_not_overrun_and_the_run_goes_on_with_a_larger_one(
        self, corpus: IngestReport, small_set: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (stopped,) = evaluate(small_set, "--budget", "0.06")["runs"]
        run = EvalRun.objects.get()
        assert run.state == "stopped"
        assert 0 < stopped["questions"] < 14
        assert run.cost_usd <= Decimal("0.06")
        assert "budget of $0.06" in capsys.readouterr().out

        (done,) = evaluate(small_set, "--resume", str(run.pk), "--budget", "5")["runs"]

        assert (done["state"], done["questions"]) == ("done", 14)
        assert len([line for line in trace_lines() if line["kind"] == "eval"]) == 14

    def test_the_arms_behind_a_budget_stop_too(self, corpus: IngestReport, small_set: Path) -> None:
        runs = evaluate(small_set, "--budget", "0.06", modules="m1,m3")["runs"]

        assert [run["state"] for run in runs] == ["stopped", "stopped"]
        assert runs[1]["questions"] == 0

    def test_a_question_that_fails_is_counted_apart_and_asked_again_on_resuming(
        self, corpus: IngestReport, small_set: Path, providers: str
    ) -> None:
        break_provider(
            providers, "anthropic.messages", match="May unused annual leave", kind="status", status=400, times=1
        )

        with pytest.raises(SystemExit, match="1"):
            evaluate(small_set)

        run = EvalRun.objects.get()
        failed = run.results.get(question_id="leave-1")
        assert (failed.error, failed.scores, run.results.count()) == ("provider_refused", {}, 14)
        (again,) = evaluate(small_set, "--resume", str(run.pk))["runs"]
        assert (again["failed"], again["questions"]) == (0, 14)

    def test_a_busy_provider_is_asked_again(self, corpus: IngestReport, small_set: Path, providers: str) -> None:
        break_provider(providers, "voyage.embeddings", kind="status", status=429, times=POLICY.attempts)

        (run,) = evaluate(small_set, "--limit", "1")["runs"]

        assert (run["failed"], run["metrics"]["recall_at_5"]) == (0, 1.0)
        assert [line["status"] for line in trace_lines()] == [503, 200]
        assert EvalResult.objects.get().trace_id == trace_lines()[1]["trace_id"]

    def test_a_run_that_is_done_has_nothing_to_resume(self, corpus: IngestReport, small_set: Path) -> None:
        evaluate(small_set, "--limit", "1")

        with pytest.raises(CommandError, match="nothing is left"):
            evaluate(small_set, "--resume", str(EvalRun.objects.get().pk))

    def test_a_run_does_not_go_on_with_other_questions(self, corpus: IngestReport, small_set: Path) -> None:
        evaluate(small_set, "--budget", "0.06")
        small_set.write_text(small_set.read_text().replace("full backups", "whole backups"))

        with pytest.raises(CommandError, match="data set small has changed"):
            evaluate(small_set, "--resume", str(EvalRun.objects.get().pk), "--budget", "5")

    def test_a_run_does_not_go_on_with_another_model(
        self, corpus: IngestReport, small_set: Path, settings: Settings
    ) -> None:
        evaluate(small_set, "--budget", "0.06")
        settings.ANSWER_MODEL = "claude-haiku-4-5"

        with pytest.raises(CommandError, match="a model changed"):
            evaluate(small_set, "--resume", str(EvalRun.objects.get().pk), "--budget", "5")

    def test_a_corpus_that_moves_under_a_run_ends_it(
        self, corpus: IngestReport, small_set: Path, documents: Path
    ) -> None:
        def moved(status: Status) -> None:
            if status.done == 2:
                (documents / "new.md").write_text("# New\n\nSomething else.\n")
                ingest(path=documents, corpus="handbook")

        runs = planned(Plan(dataset=str(small_set), corpus="handbook", modules=("m3",), judge=False))

        with pytest.raises(EvaluationRefused, match="became v2 while"):
            carry_out(runs, parallel=1, report=moved)

        run = EvalRun.objects.get()
        assert (run.state, run.results.count()) == ("stopped", 2)
        with pytest.raises(CommandError, match="the corpus version changed"):
            evaluate(small_set, "--resume", str(run.pk))

    def test_a_defect_leaves_a_run_that_says_so_and_can_go_on(self, corpus: IngestReport, small_set: Path) -> None:
        def broken(status: Status) -> None:
            if status.done == 2:
                raise RuntimeError("the progress bar is broken")

        runs = planned(Plan(dataset=str(small_set), corpus="handbook", modules=("m3",), judge=False))
        with pytest.raises(RuntimeError):
            carry_out(runs, parallel=1, report=broken)

        run = EvalRun.objects.get()
        assert (run.state, run.error) == ("failed", "unexpected: RuntimeError: the progress bar is broken")
        (resumed,) = evaluate(small_set, "--resume", str(run.pk))["runs"]
        assert (resumed["state"], resumed["questions"]) == ("done", 14)


def total(kind: str) -> Decimal:
    return sum((entry.cost_usd or Decimal(0) for entry in LedgerEntry.objects.filter(kind=kind)), Decimal(0))
