"""`manage.py traces find TEXT`, `verify [--repair]`, `close [--dry-run]` and `forget`."""

import json
from argparse import ArgumentParser
from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from rag import clock, trace_checking, trace_closing, trace_forgetting, trace_proof, trace_reading
from rag.trace_forgetting import Whom


class Command(BaseCommand):
    help = "Search the trace files, close and prove them, hold them against the database, and take content out of them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        find = actions.add_parser("find", help="traces that hold a text, anywhere in their line")
        find.add_argument("text")
        find.add_argument("--since", type=day, help="UTC day, YYYY-MM-DD")
        find.add_argument("--until", type=day, help="UTC day, YYYY-MM-DD, included")
        find.add_argument("--json", action="store_true", help="whole lines instead of a summary")
        verify = actions.add_parser("verify", help="no line of a closed day was changed or lost; lines and rows match")
        verify.add_argument("--repair", action="store_true", help="write the rows that are missing")
        close = actions.add_parser("close", help="close days that are over, compress older ones, delete the oldest")
        close.add_argument("--dry-run", action="store_true", help="only say what is due")
        forget = actions.add_parser("forget", help="take the content of traces out of files, rows and caches")
        whom = forget.add_mutually_exclusive_group(required=True)
        whom.add_argument("--api-key", type=int, metavar="ID", help="everything that was asked with this key")
        whom.add_argument("--trace", metavar="ID", help="one trace, and those that were given its answer again")
        whom.add_argument("--question", metavar="TEXT", help="whoever asked this; compared as the answer cache does")
        forget.add_argument("--dry-run", action="store_true", help="only say how much it would be")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, options["action"])(options)

    def find(self, options: dict[str, Any]) -> None:
        for line in trace_reading.matching(options["text"], since=options["since"], until=options["until"]):
            self.stdout.write(json.dumps(line, ensure_ascii=False) if options["json"] else told(line))

    def verify(self, options: dict[str, Any]) -> None:
        found = trace_checking.verify(repair=options["repair"])
        proof = trace_proof.prove(trace_reading.folder())
        for problem in [*found.problems, *proof.problems]:
            self.stdout.write(problem)
        self.stdout.write(found.told())
        self.stdout.write(proof.told())
        if found.open_problems or proof.problems:
            raise CommandError("run again with --repair to write the missing rows" if found.repairable else "see above")

    def close(self, options: dict[str, Any]) -> None:
        act = trace_closing.due if options["dry_run"] else trace_closing.tend
        for step in act(folder=trace_reading.folder(), now=clock.now()):
            self.stdout.write(f"{step.day}  {step.what}")

    def forget(self, options: dict[str, Any]) -> None:
        whom = Whom(api_key_id=options["api_key"], trace_id=options["trace"], question=options["question"])
        try:
            found = trace_forgetting.forget(whom=whom, dry_run=options["dry_run"])
        except OSError as error:
            raise CommandError(f"not everything was forgotten: {error}; run this again when it is mended") from error
        self.stdout.write(f"{'would forget' if options['dry_run'] else 'forgotten'}: {found.told()}")


def day(text: str) -> date:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()


def told(line: dict[str, Any]) -> str:
    outcome = (line["error"] or {}).get("code") or ("answered" if line["answered"] else "not answered")
    return f"{line['timestamp'][:19]}Z  {line['trace_id']}  {outcome}  {line['module']}  {line['query'][:80]!r}"
