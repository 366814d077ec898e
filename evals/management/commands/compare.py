"""`manage.py compare RUN_A RUN_B`: what changed between two evaluation runs, and whether it is more than luck."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from evals.errors import EvaluationRefused
from evals.models import EvalRun
from evals.presenting import dollars
from evals.reporting import as_markdown, as_text
from evals.run_comparison import COMPARABLE, QUALITY, compared, texts_of
from evals.summary import summarised

REFUSED = 2


class Command(BaseCommand):
    help = "Compare two evaluation runs question by question; RUN_B is judged against RUN_A."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("before", type=int, metavar="RUN_A")
        parser.add_argument("after", type=int, metavar="RUN_B")
        parser.add_argument("--metric", action="append", choices=COMPARABLE, help="default: all but cost and latency")
        parser.add_argument("--markdown", type=Path, metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            before, after = run_of(options["before"]), run_of(options["after"])
            comparisons = compared(before, after, measures=options["metric"] or QUALITY)
        except EvaluationRefused as error:
            raise CommandError(str(error), returncode=REFUSED) from error
        texts = texts_of(before)
        for comparison in comparisons:
            self.stdout.write(as_text(comparison, texts=texts))
        self.stdout.write(costs(before, after))
        if options["markdown"]:
            options["markdown"].write_text(as_markdown(comparisons, texts=texts), "utf-8")


def run_of(pk: int) -> EvalRun:
    run = EvalRun.objects.filter(pk=pk).first()
    if run is None:
        raise EvaluationRefused(f"there is no run {pk}")
    return run


def costs(before: EvalRun, after: EvalRun) -> str:
    one, other = (summarised(run).cost_per_query_usd for run in (before, after))
    mode = "" if before.provider_mode == "live" else " (simulated providers)"
    return f"USD per query: {dollars(one)} to {dollars(other)}{mode}"
