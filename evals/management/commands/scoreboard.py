"""`manage.py scoreboard`: every module on the 30 questions, and the ship gate, from a fresh clone on."""

import os
import signal
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from evals.errors import EvaluationRefused
from evals.instance import running, what_is_missing
from evals.management.commands.evaluate import INTERRUPTED, REFUSED, Progress, dollars
from evals.models import EvalRun
from evals.running import PARALLEL, carry_out
from evals.scoreboard import Scoreboard
from evals.scoreboard_making import made, planned_runs, report_folder
from evals.scoreboard_text import NAME, as_markdown
from rag.management.commands.drill import quiet, stopped_alike
from ragsite.processes import AlreadyRunning, NotReady

FRESH = "fresh-secrets.json"
STARTED = "--no-start"


class Command(BaseCommand):
    help = (
        "Evaluate every module on the shipped questions, check the ship gate, and write data/reports/final-scoreboard.md and "
        ".json. Runs that still measure what serves are used again. Starts the sandbox and Chroma when they do not run. "
        "Exit status 0 also when the gate does not pass (`manage.py ship-gate` says 1), 2 when no board could be made."
    )
    requires_system_checks = ()  # before the first start there is no database to check; `prepare` checks it

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--budget", type=dollars, metavar="USD", help="for questions that are asked anew")
        parser.add_argument("--anew", action="store_true", help="use no earlier run again")
        parser.add_argument("--parallel", type=int, default=PARALLEL, metavar="N", choices=range(1, 33))
        parser.add_argument(STARTED, action="store_true", help="refuse when something does not run, and start nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with stopped_alike():
                missing = what_is_missing()
                if not missing:
                    self.make(options)
                elif options["no_start"] or settings.GIVEN_CHROMA_URL:
                    raise CommandError(f"{missing}; start everything first, with `make run`", returncode=REFUSED)
                else:
                    self.in_an_instance(missing)
        except EvaluationRefused as error:
            raise CommandError(str(error), returncode=REFUSED) from error
        except (AlreadyRunning, NotReady) as error:
            raise CommandError(str(error), returncode=REFUSED) from error
        except KeyboardInterrupt as error:
            raise CommandError("interrupted; the same command goes on from here", returncode=INTERRUPTED) from error

    def make(self, options: dict[str, Any]) -> None:
        runs = planned_runs(budget_usd=options["budget"], anew=options["anew"])
        ask(runs, parallel=options["parallel"])
        with quiet(options["verbosity"] < 2):
            board = made(runs, tell=self.tell)
        self.stdout.write(as_markdown(board))
        self.stdout.write(f"\n{report_folder() / NAME}.md and .json; {ending(board)}")

    def in_an_instance(self, missing: str) -> None:
        """Start what is needed, prepare it as `make run` does, and run this very command in it."""
        self.tell(f"{missing}: starting the sandbox and Chroma for this command")
        with running(Path(settings.DATA_DIR), os.environ, self.tell) as environment:
            prepare = [sys.executable, "manage.py", "prepare", "--secrets-to", str(settings.RUN_DIR / FRESH)]
            if call(prepare, environment):
                raise CommandError("the preparation failed; the reason stands above", returncode=REFUSED)
            status = call([sys.executable, "manage.py", *sys.argv[1:], STARTED], environment)
        if status:
            raise SystemExit(status)

    def tell(self, text: str) -> None:
        self.stderr.write(text)


def ask(runs: Sequence[EvalRun], *, parallel: int) -> None:
    """What is still to be asked of the runs."""
    todo = [run for run in runs if run.state != EvalRun.State.DONE]
    if not todo:
        return
    progress = Progress(todo)
    try:
        carry_out(todo, parallel=parallel, report=progress.show)
    finally:
        progress.end()
    for run in runs:
        run.refresh_from_db()


def call(command: list[str], environment: dict[str, str]) -> int:
    """Its exit status. A child gets Ctrl-C itself, and SIGTERM when this process does."""
    with subprocess.Popen(command, env=environment, cwd=settings.BASE_DIR) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            child.send_signal(signal.SIGTERM)
            child.wait()
            raise


def ending(board: Scoreboard) -> str:
    failing = [line.name.replace("_", " ") for line in board.gate.failing]
    return f"the ship gate does not pass: {', '.join(failing)}" if failing else "the ship gate passes"
