"""`manage.py issue_artifact --name NAME --repo PATH`: draw and sign the proof, once the ship gate passes."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from completion.issuing import IssueRefused, issue
from completion.models import Artifact
from completion.telling import as_markdown, manifest_of
from evals import scoreboard


class Command(BaseCommand):
    help = (
        "Issue a signed artifact of what was built and measured. Refused, with the lines that fail, while the ship gate does "
        "not pass."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True, help="who it is issued to, as it is to stand on the page")
        parser.add_argument("--repo", required=True, type=Path, help="the git repository whose commits tell the hours")
        parser.add_argument("--out", type=Path, help="folder for the PDF and the Markdown; default: DATA_DIR/artifacts")
        parser.add_argument(
            "--history-timeout", type=float, default=600.0, metavar="SECONDS", help="for reading the history"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            artifact = issue(
                name=options["name"],
                repository=options["repo"],
                board=scoreboard.load(),
                now=timezone.now(),
                who=None,
                history_timeout_s=options["history_timeout"],
            )
        except IssueRefused as error:
            raise CommandError("\n".join([str(error), *map(failing_line, error.failing)])) from error
        manifest = manifest_of(artifact)
        pdf, markdown = written(artifact, options["out"] or settings.DATA_DIR / "artifacts")
        self.stdout.write(f"{artifact.number} issued to {artifact.name}: {manifest['work']['hours']} hours of work")
        for line in (str(pdf), str(markdown), f"SHA-256 {artifact.sha256}", manifest["verify_url"]):
            self.stdout.write(line)


def failing_line(line: Any) -> str:
    return f"  {line.name.replace('_', ' ')}: {line.measured}; needed: {line.needed}" + (
        f" ({line.why})" if line.why else ""
    )


def written(artifact: Artifact, folder: Path) -> tuple[Path, Path]:
    """The PDF, and the Markdown beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    pdf, markdown = folder / f"{artifact.number}.pdf", folder / f"{artifact.number}.md"
    pdf.write_bytes(bytes(artifact.pdf))
    markdown.write_text(as_markdown(manifest_of(artifact), sha256=artifact.sha256), "utf-8")
    return pdf, markdown
