"""`manage.py rebuild [CORPUS ...]`: the indexes of corpora, made again from the database."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from rag.building import VerificationFailed
from rag.errors import RagError
from rag.management.commands.ingest import ProgressBar, ProgressLines
from rag.models import Corpus
from rag.rebuilding import Rebuilt, rebuild, versions_of


class Command(BaseCommand):
    help = "Make the vector and BM25 indexes of the active versions again from the rows. Embeds only what is nowhere stored."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("corpora", nargs="*", metavar="CORPUS", help="default: all")
        parser.add_argument("--all-versions", action="store_true", help="also those kept for roll-back")

    def handle(self, *args: Any, **options: Any) -> None:
        known = set(Corpus.objects.values_list("slug", flat=True))
        unknown = [name for name in options["corpora"] if name not in known]
        if unknown:
            raise CommandError(
                f"there is no corpus {', '.join(unknown)}; there are: {', '.join(sorted(known)) or 'none'}"
            )
        bar = ProgressBar() if sys.stderr.isatty() else ProgressLines()
        for version in versions_of(options["corpora"], all_ready=options["all_versions"]):
            try:
                report = rebuild(version=version, progress=bar.show)
            except (RagError, VerificationFailed) as error:
                raise CommandError(str(error)) from error
            finally:
                bar.end()
            self.stdout.write(told(report))


def told(report: Rebuilt) -> str:
    return (
        f"{report.corpus} {report.version} is whole: {report.found} vectors were there, {report.reused} reused, "
        f"{report.embedded} texts embedded; BM25 built"
    )
