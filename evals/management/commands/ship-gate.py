"""`manage.py ship-gate [--json]`: check again, on the runs of the newest scoreboard, whether this may be shipped."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from evals import scoreboard
from evals.errors import EvaluationRefused
from evals.instance import what_is_missing
from evals.scoreboard import Scoreboard
from evals.scoreboard_making import made, runs_of
from evals.ship_gate import GateLine
from rag.management.commands.drill import quiet, stopped_alike

NOT_PASSED, REFUSED, INTERRUPTED = 1, 2, 130


class Command(BaseCommand):
    help = (
        "Make every check of the ship gate again, on the runs of the newest scoreboard. Exit status 1 when a line fails, 2 "
        "when there is no scoreboard of what serves now: make one with `manage.py scoreboard`."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="the scoreboard as one object, its `gate` included")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with quiet(options["verbosity"] < 2), stopped_alike():
                board = self.checked()
        except EvaluationRefused as error:
            raise CommandError(f"{error}; make a new one with `manage.py scoreboard`", returncode=REFUSED) from error
        except KeyboardInterrupt as error:
            raise CommandError("interrupted; nothing is left broken", returncode=INTERRUPTED) from error
        self.stdout.write(json.dumps(board.as_json(), indent=2) if options["json"] else told(board))
        if not board.gate.passed:
            raise SystemExit(NOT_PASSED)

    def checked(self) -> Scoreboard:
        if missing := what_is_missing():
            raise CommandError(f"{missing}; start everything first, with `make run`", returncode=REFUSED)
        newest = scoreboard.load()
        if newest is None:
            raise EvaluationRefused("there is no scoreboard yet")
        return made(runs_of(newest), tell=self.stderr.write)


def told(board: Scoreboard) -> str:
    lines = [text for line in board.gate.lines for text in of_line(line)]
    simulated = ["simulated providers"] if board.simulated else []
    return "\n".join([*simulated, *lines, "", "passed" if board.gate.passed else "NOT PASSED"])


def of_line(line: GateLine) -> list[str]:
    name = line.name.replace("_", " ")
    lines = [f"{'pass' if line.passed else 'FAIL'}  {name:18} {line.measured}"]
    return lines if line.passed else [*lines, f"      needed: {line.needed}", f"      {line.why}"]
