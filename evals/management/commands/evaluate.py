"""`manage.py evaluate`: ask the questions of a data set of the pipelines, and say what came of it."""

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from evals.errors import EvaluationRefused
from evals.estimates import expected_cost
from evals.models import EvalRun
from evals.planning import DEFAULT_DATASET, Plan, planned
from evals.presenting import as_json, as_table, progress_line
from evals.running import PARALLEL, Status, carry_out, to_resume
from evals.summary import summarised
from rag.management.commands.ingest import ProgressBar, ProgressLines
from rag.modules import MODULES

FAILED, REFUSED, INTERRUPTED = 1, 2, 130


class Command(BaseCommand):
    help = "Ask a data set's questions through the pipeline. Exit status 1 when questions failed, 2 when nothing was begun."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dataset", default=DEFAULT_DATASET, help="a shipped set, a .jsonl file or a BEIR folder")
        parser.add_argument("--corpus", help="default: the data set's own")
        parser.add_argument("--modules", type=names, default=tuple(MODULES), help="m1,m3-hybrid,...; default: all")
        parser.add_argument("--prompt-version", type=names, default=(), help="v2,v3 of the answer prompt")
        parser.add_argument("--limit", type=int, help="only the first so many questions")
        parser.add_argument("--budget", type=dollars, metavar="USD", help="stop before more than this is spent")
        parser.add_argument("--cache", action="store_true", help="each arm a second time, kept answers allowed")
        parser.add_argument("--judge", action=BooleanOptionalAction, default=True, help="grade the answers")
        parser.add_argument(
            "--judge-repeat", type=int, default=1, metavar="N", help="grade a sample of answers N times"
        )
        parser.add_argument("--parallel", type=int, default=PARALLEL, metavar="N", choices=range(1, 33))
        parser.add_argument("--resume", type=int, metavar="RUN", help="go on with the runs that belong to this one")
        parser.add_argument("--json", type=Path, metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            runs = self.evaluated(options)
        except EvaluationRefused as error:
            raise CommandError(str(error), returncode=REFUSED) from error
        except KeyboardInterrupt as error:
            raise CommandError("interrupted; --resume goes on from here", returncode=INTERRUPTED) from error
        summaries = [summarised(run) for run in runs]
        self.stdout.write(as_table(summaries))
        if options["json"]:
            options["json"].write_text(json.dumps(as_json(summaries), indent=2) + "\n", "utf-8")
        if any(summary.failed for summary in summaries):
            raise SystemExit(FAILED)

    def evaluated(self, options: dict[str, Any]) -> Sequence[EvalRun]:
        """All runs of the batch, those that were done before included."""
        refuse_unwritable(options["json"])
        resumed = options["resume"]
        runs = to_resume(resumed, budget_usd=options["budget"]) if resumed else planned_from(options)
        progress = Progress(runs)
        try:
            carry_out(runs, parallel=options["parallel"], report=progress.show)
        finally:
            progress.end()
        return list(EvalRun.objects.filter(batch=runs[0].batch).order_by("pk"))


def planned_from(options: dict[str, Any]) -> tuple[EvalRun, ...]:
    plan = Plan(
        dataset=options["dataset"],
        corpus=options["corpus"],
        modules=options["modules"],
        prompt_versions=options["prompt_version"],
        limit=options["limit"],
        budget_usd=options["budget"],
        answer_cache=options["cache"],
        judge=options["judge"],
        judge_repeat=options["judge_repeat"],
    )
    bar = ProgressBar() if sys.stderr.isatty() else ProgressLines()
    try:
        return planned(plan, progress=bar.show)
    finally:
        bar.end()


class Progress:
    """On a terminal one line, redrawn in place; elsewhere a line at each tenth of a run."""

    def __init__(self, runs: Sequence[EvalRun]) -> None:
        self._told: tuple[int, int] | None = None
        self._redrawn = sys.stderr.isatty()
        self._estimate = estimate(runs)
        questions = sum(run.questions - run.results.filter(error="").count() for run in runs)
        numbers = ", ".join(str(run.pk) for run in runs)
        cost = f"about ${self._estimate:.4f}" if self._estimate is not None else "cost unknown: a model has no price"
        sys.stderr.write(f"runs {numbers}: {questions} questions, {cost}\n")

    def show(self, status: Status) -> None:
        line = progress_line(status, estimate=self._estimate)
        if self._redrawn:
            sys.stderr.write(f"\r\033[K{line}")
            sys.stderr.flush()
            return
        place = status.run.pk, 10 * status.done // status.run.questions
        if place != self._told:
            self._told = place
            sys.stderr.write(line + "\n")

    def end(self) -> None:
        if self._redrawn:
            sys.stderr.write("\r\033[K")


def estimate(runs: Sequence[EvalRun]) -> Decimal | None:
    """What all of it will cost, USD; None when a price is unknown."""
    each = [(run, expected_cost(run)) for run in runs]
    known = [run.questions * cost for run, cost in each if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(each) else None


def refuse_unwritable(path: Path | None) -> None:
    if path is not None and not path.resolve().parent.is_dir():
        raise EvaluationRefused(f"{path} cannot be written: there is no such folder")


def names(text: str) -> tuple[str, ...]:
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise ArgumentTypeError("expected names with commas between them")
    return found


def dollars(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise ArgumentTypeError(f"expected an amount, not {text!r}") from error
    if not amount.is_finite():
        raise ArgumentTypeError(f"expected an amount, not {text!r}")
    return amount
