"""`manage.py revoke_artifact NUMBER --why REASON`: withdraw an artifact, for good."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from completion.issuing import AlreadyRevoked, revoke
from completion.models import Artifact


class Command(BaseCommand):
    help = "Revoke an artifact: everybody who verifies it sees that, and the reason. This cannot be taken back."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", help="as printed on the page, or the SHA-256 of the PDF")
        parser.add_argument("--why", required=True, help="up to 200 characters; shown to everybody")

    def handle(self, *args: Any, **options: Any) -> None:
        named, why = options["number"], options["why"].strip()
        artifact = (
            Artifact.objects.filter(number=named.upper()).first()
            or Artifact.objects.filter(sha256=named.lower()).first()
        )
        if artifact is None:
            raise CommandError(f"there is no artifact {named}")
        if not 0 < len(why) <= 200:
            raise CommandError("--why takes 1 to 200 characters")
        try:
            revoke(artifact=artifact, why=why, who=None, now=timezone.now())
        except AlreadyRevoked as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{artifact} is revoked.")
