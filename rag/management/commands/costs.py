"""`manage.py costs`: `recost` and `reconcile` (the ledger), `rebuild` (the roll-ups), `generate` (made-up rows)."""

from argparse import ArgumentParser
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from costs import reconcile_action
from costs.recosting import Change, recost
from costs.spend import current_mode
from rag import clock, rollups
from rag.made_up_costs import AlreadyThere, make_up


class Command(BaseCommand):
    help = (
        "Correct what was booked with a wrong price, hold the ledger against the provider's own report, "
        "and make the roll-ups of the cost page anew."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        recost = actions.add_parser("recost", help="adjustments for what today's price table prices otherwise")
        recost.add_argument("--from", dest="since", type=day, required=True, help="day in TIME_ZONE, YYYY-MM-DD")
        recost.add_argument("--to", dest="until", type=day, required=True, help="day in TIME_ZONE, included")
        recost.add_argument("--dry-run", action="store_true", help="only show what would change")
        reconcile_action.add_arguments(actions.add_parser("reconcile", help=reconcile_action.HELP))
        actions.add_parser("rebuild", help="the roll-ups of the cost page, made anew from all rows; asks nobody")
        generate = actions.add_parser(
            "generate", help="made-up traces and ledger entries, to look at; without trace lines"
        )
        generate.add_argument("--traces", type=int, default=10_000)
        generate.add_argument("--days", type=int, default=30, help="up to now (default: 30)")
        generate.add_argument("--seed", type=int, default=1)
        generate.add_argument("--among-real", action="store_true", help="also where providers are real or DEBUG is off")

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
        reconcile_action.run(options, self.stdout.write)

    def rebuild(self, options: dict[str, Any]) -> None:
        self.stdout.write("making the roll-ups anew; the cost page is right meanwhile, and slower")
        rollups.rebuild(clock.now())
        state = rollups.current()
        self.stdout.write(f"{state.entries:,} ledger entries and {state.traces:,} traces are rolled up")
        if state.checked_at is None:
            raise CommandError("the roll-ups are not what the rows say: do it again, and see the log")

    def generate(self, options: dict[str, Any]) -> None:
        if not options["among_real"] and (current_mode() == "live" or not settings.DEBUG):
            raise CommandError(
                "this instance is not for trying things out; --among-real writes made-up rows all the same"
            )
        if options["traces"] < 1 or options["days"] < 1:
            raise CommandError("--traces and --days are at least 1")
        given = {name: options[name] for name in ("traces", "days", "seed")}
        try:
            made = make_up(**given, until=clock.now())
        except AlreadyThere as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{made.traces:,} traces and {made.entries:,} ledger entries, marked simulated")
        self.rebuild(options)


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
