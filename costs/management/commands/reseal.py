"""`manage.py reseal`: after a new SECRET_KEY, and before the old one leaves SECRET_KEY_FALLBACKS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from costs.models import AlertChannel
from costs.sealing import SealBroken, sealed_anew


class Command(BaseCommand):
    help = "Seal the secrets of alert channels with today's SECRET_KEY. They stay the same for their receivers."

    def handle(self, *args: Any, **options: Any) -> None:
        lost = []
        for channel in AlertChannel.objects.order_by("name"):
            try:
                channel.sealed_secret = sealed_anew(channel.sealed_secret)
            except SealBroken:
                lost.append(channel.name)
                continue
            channel.save(update_fields=["sealed_secret"])
        if lost:
            raise CommandError(f"no known SECRET_KEY opens the secrets of {', '.join(lost)}: give them new ones")
        self.stdout.write("every secret is sealed with today's SECRET_KEY")
