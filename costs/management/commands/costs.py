"""`manage.py costs recost --from DAY --to DAY [--dry-run]` and `manage.py costs reconcile --day DAY`."""

from argparse import ArgumentParser
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from costs import reconciling
from costs.provider_report import ReportUnavailable, provider_day
from costs.recosting import Change, recost


class Command(BaseCommand):
    help = "Correct what was booked with a wrong price, and hold the ledger against the provider's own report."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        recost = actions.add_parser("recost", help="adjustments for what today's price table prices otherwise")
        recost.add_argument("--from", dest="since", type=day, required=True, help="day in TIME_ZONE, YYYY-MM-DD")
        recost.add_argument("--to", dest="until", type=day, required=True, help="day in TIME_ZONE, included")
        recost.add_argument("--dry-run", action="store_true", help="only show what would change")
        reconcile = actions.add_parser("reconcile", help="exit status 1 when ledger and provider differ")
        reconcile.add_argument("--day", type=day, required=True, help="UTC day, YYYY-MM-DD")
        reconcile.add_argument("--tolerance", type=Decimal, default=Decimal(1), help="per cent (default: 1)")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, options["action"])(options)

    def recost(self, options: dict[str, Any]) -> None:
        since, until = midnight(options["since"]), midnight(options["until"] + timedelta(days=1))
        if since >= until:
            raise CommandError("--to lies before --from")
        found = recost(since=since, until=until, dry_run=options["dry_run"])
        for change in found:
            self.stdout.write(told(change))
        did = "would be adjusted" if options["dry_run"] else "adjusted"
        self.stdout.write(f"{sum(change.entries for change in found)} entries {did}")

    def reconcile(self, options: dict[str, Any]) -> None:
        provider = settings.PROVIDERS["anthropic"]
        key = settings.ANTHROPIC_ADMIN_KEY or ("sandbox" if provider["mode"] == "simulated" else "")
        if not key:
            raise CommandError("set ANTHROPIC_ADMIN_KEY: the reports need an admin key of the organisation")
        try:
            theirs = provider_day(base_url=provider["base_url"], admin_key=key, day=options["day"])
        except ReportUnavailable as error:
            raise CommandError(str(error)) from error
        found = reconciling.reconcile(
            day=options["day"], theirs=theirs, provider_mode=provider["mode"], tolerance=options["tolerance"] / 100
        )
        for line in reconciling.told(found):
            self.stdout.write(line)
        if found.drifts:
            reconciling.note_drift(found.day, found.drifts)
            raise CommandError(f"{len(found.drifts)} rows drift")
        self.stdout.write(f"{found.day}: the ledger ({provider['mode']}) is what the provider reports")


def day(text: str) -> date:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()


def midnight(of: date) -> datetime:
    """The beginning of the day in TIME_ZONE."""
    return timezone.make_aware(datetime.combine(of, time(0)))


def told(change: Change) -> str:
    unpriced = f" ({change.unpriced} were unpriced)" if change.unpriced else ""
    difference = change.after - change.before
    return (
        f"{change.provider_mode}  {change.provider} {change.model}: {change.entries} entries{unpriced}, "
        f"{change.before:.8f} -> {change.after:.8f} USD ({difference:+.8f})"
    )
