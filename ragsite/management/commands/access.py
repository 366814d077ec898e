"""`manage.py access`: who may reach which route, as a table; `--write` puts it into docs/security.md."""

import re
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from ragsite.access import table

TABLE = re.compile(r"\| route \|.*?(?=\n\n|\Z)", re.DOTALL)


class Command(BaseCommand):
    help = "Show who may reach which route of the site."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--write", action="store_true", help="into docs/security.md, in place of the table there")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["write"]:
            self.stdout.write(table())
            return
        path = settings.BASE_DIR / "docs" / "security.md"
        text = TABLE.sub(lambda _: table().strip(), path.read_text("utf-8"), count=1)
        path.write_text(text, "utf-8")
