"""`manage.py tune`: search for what m5 and m6 should do, confirm it on other questions, and keep it if it wins."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from evals.errors import EvaluationRefused
from evals.planning import DEFAULT_DATASET
from evals.tuning import LIMIT, TuningPlan, tune
from evals.tuning_text import as_json, as_text
from rag.management.commands.ingest import ProgressBar, ProgressLines
from rag.modules import RECIPES
from rag.tuned import FILE

REFUSED, INTERRUPTED = 2, 130


class Command(BaseCommand):
    help = (
        "Search for a better configuration of m5 and m6 on one half of the questions, confirm it on the other half, and write "
        "it down if it wins. No answers are generated. Exit status 0 also when nothing wins, 2 when nothing was begun."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dataset", action="append", help=f"of the default corpus; default: {DEFAULT_DATASET}")
        parser.add_argument("--beir", action="append", type=Path, default=[], metavar="DIR", help="may be repeated")
        parser.add_argument(
            "--chunker", action="append", default=[], choices=sorted(RECIPES), help="try it even if it must be ingested"
        )
        parser.add_argument("--limit", type=int, default=LIMIT, help=f"questions of each data set; default: {LIMIT}")
        parser.add_argument("--dry-run", action="store_true", help="tell what wins, and write nothing")
        parser.add_argument("--file", type=Path, default=FILE, help="default: the one that the modules are read from")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        plan = TuningPlan(
            datasets=tuple(options["dataset"] or (DEFAULT_DATASET,)),
            folders=tuple(options["beir"]),
            recipes=tuple(options["chunker"]),
            limit=options["limit"],
            dry_run=options["dry_run"],
            file=options["file"],
        )
        bar = ProgressBar() if sys.stderr.isatty() else ProgressLines()
        try:
            tuning = tune(plan, progress=bar.show)
        except EvaluationRefused as error:
            raise CommandError(str(error), returncode=REFUSED) from error
        except KeyboardInterrupt as error:
            raise CommandError("interrupted; nothing was written", returncode=INTERRUPTED) from error
        finally:
            bar.end()
        self.stdout.write(json.dumps(as_json(tuning), indent=2) if options["json"] else as_text(tuning))
