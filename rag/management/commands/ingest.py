"""`manage.py ingest PATH --corpus NAME`: build, verify and activate the next version of a corpus."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from rag.building import VerificationFailed
from rag.errors import RagError
from rag.ingest import IngestReport, ingest
from rag.modules import RECIPES

BAR = 30


class Command(BaseCommand):
    help = "Ingest a file or a folder (md, rst, txt, html, pdf, docx) as the next version of a corpus."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path)
        parser.add_argument("--corpus", required=True)
        parser.add_argument(
            "--chunker", action="append", choices=sorted(RECIPES), help="default: all that modules read"
        )
        parser.add_argument("--add", action="store_true", help="keep the corpus's other documents")
        parser.add_argument("--url", help="link of a source; {source} and {slug} are replaced")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        bar = ProgressBar() if sys.stderr.isatty() else ProgressLines()
        try:
            report = ingest(
                path=options["path"],
                corpus=options["corpus"],
                chunkers=options["chunker"],
                add=options["add"],
                url_template=options["url"],
                progress=bar.show,
            )
        except (RagError, VerificationFailed) as error:
            bar.end()
            raise CommandError(str(error)) from error
        bar.end()
        self.stdout.write(json.dumps(asdict(report), indent=2) if options["json"] else told(report))


class ProgressBar:
    """One line on a terminal, redrawn in place."""

    def show(self, stage: str, done: int, total: int) -> None:
        filled = BAR * done // total if total else 0
        share = f"[{'#' * filled}{'.' * (BAR - filled)}] {done}/{total}" if total else f"{done}"
        sys.stderr.write(f"\r\033[K{stage:32} {share}")
        sys.stderr.flush()

    def end(self) -> None:
        sys.stderr.write("\r\033[K")


class ProgressLines:
    """For logs: a line when a stage begins, and at each tenth of it."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def show(self, stage: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total else 0
        if self._told.get(stage) != tenth:
            self._told[stage] = tenth
            sys.stderr.write(f"{stage}: {done}" + (f" of {total}\n" if total else "\n"))

    def end(self) -> None:
        sys.stderr.flush()


def told(report: IngestReport) -> str:
    chunks = ", ".join(f"{count} {chunker} chunks" for chunker, count in report.chunks.items())
    if report.unchanged:
        lines = [f"{report.corpus} {report.version} already holds exactly this ({chunks}): nothing to do"]
    else:
        lines = [
            f"{report.corpus} {report.version} is active: {report.documents} documents, {chunks}; "
            f"{report.embedded} texts embedded, {report.reused} vectors reused"
        ]
    lines += [f"  not read: {file.source}: {file.reason}" for file in report.bad_files]
    return "\n".join(lines)
