"""`manage.py drill [NAME]`: break what answers depend on, in the sandbox, and see whether clients get what was promised."""

import json
import logging
import signal
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from rag.drill import QUESTION, DrillRefused, Result, results
from rag.failure_table import CASES, as_markdown, find_cases

ROW = "{:<21} {:<35} {:>6}  {:<18} {:>7} {}"
REFUSED = 2
INTERRUPTED = 130


class Command(BaseCommand):
    help = "Break each provider of the sandbox in turn, ask, and judge what the client sees. Exit status 1 when a case fails."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", help="a case, or a group of them (voyage); default: all")
        parser.add_argument("--question", default=QUESTION, help="what is asked; the default corpus must answer it")
        shapes = parser.add_mutually_exclusive_group()
        shapes.add_argument("--json", action="store_true", help="one object with `passed` and `results`, at the end")
        shapes.add_argument("--lines", action="store_true", help="one JSON object a line, as they happen")
        shapes.add_argument("--list", action="store_true", help="the cases, and break nothing")
        shapes.add_argument("--markdown", action="store_true", help="the tables of docs/failures.md, and break nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"] or options["markdown"]:
            self.stdout.write(as_markdown() if options["markdown"] else listed())
            return
        try:
            cases = find_cases(options["name"]) if options["name"] else CASES
            with (
                quiet(options["verbosity"] < 2),
                stopped_alike(),
                closing(results(cases, options["question"])) as happening,
            ):
                self.report(happening, options)
        except (LookupError, DrillRefused) as error:
            raise CommandError(str(error), returncode=REFUSED) from error
        except KeyboardInterrupt as error:
            raise CommandError("stopped; nothing is left broken", returncode=INTERRUPTED) from error

    def report(self, happening: Iterable[Result], options: dict[str, Any]) -> None:
        seen: list[Result] = []
        for result in happening:
            if not (seen or options["json"] or options["lines"]):
                self.stdout.write(ROW.format("broken", "the client saw", "status", "degraded", "time", "result"))
            seen.append(result)
            self.tell(result, options)
        passed = all(result.passed for result in seen)
        if options["json"]:
            report = {"passed": passed, "results": [result.as_json() for result in seen]}
            self.stdout.write(json.dumps(report, indent=2))
        elif not options["lines"]:
            self.stdout.write(summary(seen))
        if not passed:
            raise SystemExit(1)

    def tell(self, result: Result, options: dict[str, Any]) -> None:
        if options["lines"]:
            self.stdout.write(json.dumps(result.as_json()))
        elif not options["json"]:
            self.stdout.write(row(result))
        self.stdout.flush()


def row(result: Result) -> str:
    verdict = "pass" if result.passed else "FAIL"
    degraded = ", ".join(result.degraded) or "-"
    told = ROW.format(result.case, result.saw, result.status, degraded, f"{result.seconds:.2f} s", verdict)
    return told if result.passed else f"{told}\n    {result.why}"


def summary(seen: list[Result]) -> str:
    failed = [result for result in seen if not result.passed]
    seconds = sum(result.seconds for result in seen)
    if failed and failed[0] is seen[0]:
        return "the service does not work even unbroken; nothing was broken"
    if failed:
        return f"{len(failed)} of {len(seen)} failed, {seconds:.0f} s"
    return f"all {len(seen)} pass, {seconds:.0f} s"


def listed() -> str:
    return "\n".join(f"{case.name:<22} {case.breaks}" for case in CASES)


@contextmanager
def quiet(wanted: bool) -> Iterator[None]:
    """Without the log of every failure that was wanted: `--verbosity 2` shows it."""
    if not wanted:
        yield
        return
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def stopped_alike() -> Iterator[None]:
    """SIGTERM ends the drill as Ctrl-C does: with everything put back."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
