"""`manage.py regression` (`make eval`): has what serves become worse than it was when its scores were stored?"""

import json
import shutil
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from evals.dataset import load_dataset
from evals.errors import EvaluationRefused
from evals.instance import running, without_settings_of_this_machine
from evals.management.commands.evaluate import INTERRUPTED, REFUSED
from evals.management.commands.scoreboard import ask, call
from evals.models import EvalRun
from evals.planning import DEFAULT_DATASET, Plan, planned
from evals.presenting import as_table
from evals.regression import STORED, falls, stored, to_store
from evals.running import PARALLEL, carry_out
from evals.summary import summarised
from rag.errors import RagError
from rag.ingest import ingest
from rag.management.commands.drill import stopped_alike
from rag.modules import find_module
from ragsite import sample
from ragsite.processes import AlreadyRunning, NotReady

WORSE = 1
CORPUS = "regression"
HERE = "--here"


class Command(BaseCommand):
    help = (
        "Ask the shipped questions of the default module, in an instance of its own that is thrown away, and compare the "
        "scores with evals/regression.json. Exit status 1 when one fell. --update stores today's scores instead."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--update", action="store_true", help="store today's scores; commit the file with the reason"
        )
        parser.add_argument(HERE, action="store_true", help="in this instance and database, as they are")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with stopped_alike():
                if not options["here"]:
                    self.in_a_fresh_instance()
                else:
                    self.judge(evaluated(), update=options["update"])
        except (EvaluationRefused, RagError, AlreadyRunning, NotReady) as error:
            raise CommandError(str(error), returncode=REFUSED) from error
        except KeyboardInterrupt as error:
            raise CommandError("interrupted", returncode=INTERRUPTED) from error

    def in_a_fresh_instance(self) -> None:
        """The fetched documents are used again; everything else is made in a folder that is deleted."""
        try:
            documents = sample.fetch(Path(settings.DATA_DIR) / "sample")
        except sample.SampleUnavailable as error:
            raise CommandError(str(error), returncode=REFUSED) from error
        with tempfile.TemporaryDirectory(prefix="regression-") as name:
            folder = Path(name)
            (folder / "sample").mkdir()
            (folder / "sample" / "docs").symlink_to(documents.resolve())
            with running(folder, without_settings_of_this_machine(folder), self.stderr.write) as environment:
                status = call([sys.executable, "manage.py", *sys.argv[1:], HERE], environment)
        if status:
            raise SystemExit(status)

    def judge(self, run: EvalRun, *, update: bool) -> None:
        self.stdout.write(as_table([summarised(run)]))
        if update:
            if failed(run):
                raise EvaluationRefused(f"{failed(run)} questions failed, so nothing is stored; try again")
            STORED.write_text(json.dumps(to_store(run), indent=1) + "\n", "utf-8")
            self.stdout.write(f"stored in {STORED.name}")
            return
        fallen = falls(run, stored())
        for fall in fallen:
            self.stdout.write(f"FELL  {fall.metric}: {fall.told}")
        self.stdout.write("" if fallen else "nothing fell below what was stored")
        if fallen:
            raise SystemExit(WORSE)


def evaluated() -> EvalRun:
    """Raises EvaluationRefused, RagError."""
    module = find_module(settings.DEFAULT_MODULE)
    call_command("migrate", verbosity=0)
    ingest(path=documents_with_gold(Path(settings.DATA_DIR)), corpus=CORPUS, chunkers=(module.chunker,))
    (run,) = planned(Plan(modules=(module.name,), corpus=CORPUS))
    ask([run], parallel=PARALLEL)
    if failed(run):  # a time-out on a busy machine, say: what failed has one more chance
        carry_out([run], parallel=1)
    return run


def failed(run: EvalRun) -> int:
    return run.results.exclude(error="").count()


def documents_with_gold(folder: Path) -> Path:
    """A folder with those sample documents only that hold gold: under half of the text, so that it takes a minute or two."""
    documents, kept = sample.fetch(folder / "sample"), folder / "with-gold"
    sources = {gold.source for question in load_dataset(DEFAULT_DATASET).questions for gold in question.gold}
    for source in sources:
        target = kept / f"{source}.txt"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(documents / f"{source}.txt", target)
    return kept
