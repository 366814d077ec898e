"""`manage.py pins`: exit status 1 where what is installed is not what requirements.txt pins. Needs no network."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ragsite.pins import faults, pinned


class Command(BaseCommand):
    help = "Hold what is installed against requirements.txt: versions, hashes, licences."

    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.BASE_DIR / "requirements.txt"
        found = list(faults(path))
        for fault in found:
            self.stderr.write(fault)
        if found:
            raise CommandError(f"{len(found)} faults")
        self.stdout.write(
            f"{len(list(pinned(path)))} packages are what was pinned, each with a hash and a known licence"
        )
