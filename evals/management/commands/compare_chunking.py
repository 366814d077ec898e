"""`manage.py compare_chunking`: every chunker with every embedder on the same questions, in one table."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from evals.errors import EvaluationRefused
from evals.grid import CHUNKERS, EMBEDDERS, Grid, GridPlan, measured
from evals.grid_report import METRIC, as_json, as_markdown
from evals.management.commands.evaluate import INTERRUPTED, REFUSED, names, refuse_unwritable
from evals.metrics import RANKING
from evals.planning import DEFAULT_DATASET
from rag.management.commands.ingest import ProgressBar, ProgressLines
from rag.modules import RECIPES


class Command(BaseCommand):
    help = (
        "Compare chunkers and embedders by what they retrieve. What the corpus was not cut into yet is prepared first."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dataset", default=DEFAULT_DATASET, help="a shipped set, a .jsonl file or a BEIR folder")
        parser.add_argument("--corpus", help="default: the data set's own")
        parser.add_argument("--module", default="m2-chunking", help="whose retrieval is used (default: vectors alone)")
        parser.add_argument("--chunkers", type=names, default=CHUNKERS, help=f"of {', '.join(RECIPES)}")
        parser.add_argument("--embedders", type=names, default=EMBEDDERS, help=f"of {', '.join(EMBEDDERS)}")
        parser.add_argument("--limit", type=int, help="only the first so many questions with gold")
        parser.add_argument("--metric", default=METRIC, choices=list(RANKING), help="the measure that decides")
        parser.add_argument("--markdown", type=Path, metavar="FILE")
        parser.add_argument("--json", type=Path, metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            for path in (options["json"], options["markdown"]):
                refuse_unwritable(path)
            grid = grid_of(options)
        except EvaluationRefused as error:
            raise CommandError(str(error), returncode=REFUSED) from error
        except KeyboardInterrupt as error:
            raise CommandError("interrupted", returncode=INTERRUPTED) from error
        text = as_markdown(grid, metric=options["metric"])
        self.stdout.write(text)
        if options["markdown"]:
            options["markdown"].write_text(text, "utf-8")
        if options["json"]:
            told = as_json(grid, metric=options["metric"])
            options["json"].write_text(json.dumps(told, indent=2) + "\n", "utf-8")


def grid_of(options: dict[str, Any]) -> Grid:
    plan = GridPlan(
        dataset=options["dataset"],
        corpus=options["corpus"],
        module=options["module"],
        chunkers=options["chunkers"],
        embedders=options["embedders"],
        limit=options["limit"],
    )
    bar = ProgressBar() if sys.stderr.isatty() else ProgressLines()
    try:
        return measured(plan, progress=bar.show)
    finally:
        bar.end()
