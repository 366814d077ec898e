"""`manage.py costs reconcile`: its options, and what it does with them."""

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from costs.bills import csv_file, sources
from costs.bills.values import Bill, ReportUnavailable, Span
from costs.estimates import FACTOR
from costs.reconciling import Check, Reconciled, note_drift, reconcile, told
from costs.settling import settle

HELP = "exit status 1 when ledger and provider differ"
Write = Callable[[str], object]


def add_arguments(parser: ArgumentParser) -> None:
    when = parser.add_mutually_exclusive_group(required=True)
    when.add_argument("--day", type=day, help="UTC day, YYYY-MM-DD")
    when.add_argument("--since", type=moment, help="UTC, to the minute: 2026-11-20T10:15; needs --until")
    parser.add_argument("--until", type=moment, help="UTC, not included")
    parser.add_argument(
        "--provider", action="append", choices=sorted(settings.PROVIDERS), help="only this one; may be repeated"
    )
    parser.add_argument(
        "--bill", type=Path, metavar="FILE.csv", help="of the providers that it names; see docs/prices.md"
    )
    parser.add_argument("--tolerance", type=Decimal, default=Decimal(1), help="per cent (default: 1)")
    parser.add_argument("--settle", action="store_true", help="set estimates right by the bill")
    parser.add_argument("--dry-run", action="store_true", help="with --settle: only show what would be written")
    parser.add_argument(
        "--estimate-factor",
        type=Decimal,
        default=FACTOR,
        help=f"how many times what was guessed of a prompt it can have been (default: {FACTOR})",
    )


def run(options: Mapping[str, Any], write: Write) -> None:
    """Raises CommandError where the bill cannot be had, and where the ledger is not what it says."""
    span = span_of(options)
    found = [
        held_against(provider, bill, span, options, write)
        for provider, bill in bills_of(span, options["bill"], options["provider"]).items()
    ]
    drifting = [each for each in found if each.drifts]
    for each in drifting:
        note_drift(each)
    if drifting:
        raise CommandError(f"{sum(len(each.drifts) for each in drifting)} rows drift")


def bills_of(span: Span, file: Path | None, named: list[str] | None) -> Mapping[str, Bill]:
    """Of the providers that are named; else of those in the file; else of all that can be asked."""
    try:
        given = csv_file.read(path=file, span=span, providers=settings.PROVIDERS) if file else {}
        wanted = named or list(given if file else sources.askable())
        if not wanted and file:
            raise CommandError(f"{file} holds no line: name what it is the bill of with --provider")
        if not wanted:
            keys = " or ".join(sources.KEYS.values())
            raise CommandError(f"no bill: set {keys}, an admin key of the organisation, or give --bill FILE.csv")
        if file:  # what it does not name was charged nothing
            return {name: given.get(name, Bill({}, {})) for name in wanted}
        return {name: sources.ask(name, span) for name in wanted}
    except ReportUnavailable as error:
        raise CommandError(str(error)) from error


def held_against(provider: str, bill: Bill, span: Span, options: Mapping[str, Any], write: Write) -> Reconciled:
    mode = sources.mode_of(provider)
    write(f"{provider} ({mode}), {span}")
    check = Check(provider, mode, span, bill, options["tolerance"] / 100, options["estimate_factor"])
    if options["settle"]:
        for settlement in settle(check, dry_run=options["dry_run"]):
            if not settlement.why_not:
                write(settlement.told(dry_run=options["dry_run"]))
    found = reconcile(check)
    for line in told(found):
        write(line)
    if not found.drifts:
        exactly = ", to the token and the last digit" if found.equal else ""
        write(f"{span}: the ledger ({mode}) is what {provider} reports{exactly}")
    return found


def day(text: str) -> date:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def span_of(options: Mapping[str, Any]) -> Span:
    if options["day"] is not None:
        return Span.of_day(options["day"])
    if options["until"] is None:
        raise CommandError("--since needs --until")
    try:
        return Span(options["since"], options["until"])
    except ValueError as error:
        raise CommandError(str(error)) from error
