"""`manage.py traces find TEXT` and `manage.py traces verify [--repair]`."""

import json
from argparse import ArgumentParser
from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from rag import trace_checking, trace_reading


class Command(BaseCommand):
    help = "Search the trace files, and hold them against the database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        find = actions.add_parser("find", help="traces that hold a text, anywhere in their line")
        find.add_argument("text")
        find.add_argument("--since", type=day, help="UTC day, YYYY-MM-DD")
        find.add_argument("--until", type=day, help="UTC day, YYYY-MM-DD, included")
        find.add_argument("--json", action="store_true", help="whole lines instead of a summary")
        verify = actions.add_parser("verify", help="every line has its rows, every row its line")
        verify.add_argument("--repair", action="store_true", help="write the rows that are missing")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, options["action"])(options)

    def find(self, options: dict[str, Any]) -> None:
        for line in trace_reading.matching(options["text"], since=options["since"], until=options["until"]):
            self.stdout.write(json.dumps(line, ensure_ascii=False) if options["json"] else told(line))

    def verify(self, options: dict[str, Any]) -> None:
        found = trace_checking.verify(repair=options["repair"])
        for problem in found.problems:
            self.stdout.write(problem)
        self.stdout.write(found.told())
        if found.open_problems:
            raise CommandError("run again with --repair to write the missing rows" if found.repairable else "see above")


def day(text: str) -> date:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()


def told(line: dict[str, Any]) -> str:
    outcome = (line["error"] or {}).get("code") or ("answered" if line["answered"] else "not answered")
    return f"{line['timestamp'][:19]}Z  {line['trace_id']}  {outcome}  {line['module']}  {line['query'][:80]!r}"
