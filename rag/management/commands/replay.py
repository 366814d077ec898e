"""`manage.py replay TRACE_ID`: rebuild the generation request of a trace, and say what differs today."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from rag import trace_reading
from rag.replaying import replay

WITHHELD = {
    "redacted": "the trace was redacted when it was written, so what was asked is not known word for word",
    "forgotten": "the content of the trace was forgotten, only its figures are left",
}


class Command(BaseCommand):
    help = "Says `identical`, or shows what differs. Exit status 1 when something does."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("trace_id")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        line = trace_reading.find_line(options["trace_id"])
        if line is None:
            raise CommandError(f"there is no trace {options['trace_id']}; `manage.py traces find TEXT` searches them")
        found = replay(line)
        if options["json"]:
            self.stdout.write(json.dumps(asdict(found) | {"identical": found.identical}, indent=2))
        elif found.withheld:
            self.stdout.write(f"cannot be compared: {WITHHELD[found.withheld]}")
        elif found.identical:
            self.stdout.write("identical" if found.rebuilt else "identical (no generation request was sent)")
        else:
            again = "can be rebuilt byte for byte" if found.rebuilt else "cannot be rebuilt"
            self.stdout.write(f"differs (the request that was sent {again}):")
            for difference in found.differences:
                self.stdout.write(f"  {difference.what}: {difference.then} -> {difference.now}")
        if not found.identical:
            raise SystemExit(1)
