"""Hard limits: what a question may cost at most is reserved before it spends, and settled when it is known what it did cost.

Reserving is one conditional UPDATE of the window's row, so however many ask at once, in however many processes, what is spent
and what is reserved never exceed the limit together. The guarantee:

- Questions overshoot a hard limit by the sum of (cost - reservation) over those questions that cost more than they had
  reserved, and by nothing else. Of questions that are answered at the same time that are at most as many as there are threads
  to answer them; after that nothing is let in. While no question costs more than its reservation the overshoot is 0.
- Ingests are never refused. What they spend, and whatever else never reserved, is counted from the ledger within a minute
  (`sync`), so up to a minute's worth of it may come on top.

The ledger is the authority; a window is a counter that is set right by it every minute. A reservation that was never settled
expires: whoever made it has died.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from costs.models import Budget, BudgetWindow, Reservation, units
from costs.spend import counted_for, spent
from costs.windows import Window, window_of

EXPIRES_AFTER = timedelta(minutes=2)
"""longer than any question takes"""
FRESH_FOR = timedelta(seconds=10)
"""a window that was held against the ledger so recently is believed when it refuses"""


class LimitReached(Exception):
    """A hard limit leaves no room for what was to be reserved. `resets_at`: when its next window begins."""

    def __init__(self, budget: Budget, resets_at: datetime) -> None:
        super().__init__(f"the budget of {budget.whose()} for {budget.get_period_display()} is spent")
        self.resets_at = resets_at


@dataclass(frozen=True, slots=True)
class Spender:
    """Who wants to spend: a request, by its trace, on behalf of an API key (None: of staff), from a corpus."""

    trace_id: str
    api_key_id: int | None
    corpus: str


def reserve(*, spender: Spender, estimate_usd: Decimal, mode: str, now: datetime) -> None:
    """Set the estimate aside in every window that limits the spender, or in none. Raises LimitReached.

    Nobody is refused by a stale counter: a window that has no room is first held against the ledger.
    """
    windows = [window_row(budget, mode, now) for budget in hard_limits_on(spender)]
    try:
        take(windows, spender, units(estimate_usd), now)
    except LimitReached:
        stale = [window for window in windows if window.synced_at < now - FRESH_FOR]
        if not stale:
            raise
        for window in stale:
            sync(window.pk, now)
        take(windows, spender, units(estimate_usd), now)


def hard_limits_on(spender: Spender) -> Iterable[Budget]:
    """In one order for all: windows are locked one after the other."""
    concerned = counted_for(api_key_id=spender.api_key_id, corpus=spender.corpus)
    return Budget.objects.filter(concerned, hard=True, active=True).order_by("pk")


@transaction.atomic
def take(windows: Sequence[BudgetWindow], spender: Spender, amount: int, now: datetime) -> None:
    for window in windows:
        room = window.budget.limit_units - amount - F("reserved_units")
        free = BudgetWindow.objects.filter(pk=window.pk, spent_units__lte=room)
        if not free.update(reserved_units=F("reserved_units") + amount):
            raise LimitReached(window.budget, window.ends_at)
    expires_at = now + EXPIRES_AFTER
    Reservation.objects.bulk_create(
        Reservation(window=window, trace_id=spender.trace_id, units=amount, expires_at=expires_at) for window in windows
    )


@transaction.atomic
def settle(*, trace_id: str, actual_usd: Decimal) -> None:
    """Put what a request did cost, 0 if it came to nothing, in the place of what it had reserved.

    To be called when its ledger entries are written. Without a reservation, or with one that has expired, nothing happens:
    the ledger is counted then.
    """
    ids = Reservation.objects.filter(trace_id=trace_id).values_list("window_id", flat=True)
    for window in locked(ids):
        for reservation in window.reservations.filter(trace_id=trace_id):
            reservation.delete()
            BudgetWindow.objects.filter(pk=window.pk).update(
                reserved_units=F("reserved_units") - reservation.units,
                spent_units=F("spent_units") + units(actual_usd),
            )


def locked(ids: Iterable[int]) -> list[BudgetWindow]:
    """The windows, held until the transaction ends; on SQLite the transaction as such holds everything."""
    found = BudgetWindow.objects.filter(pk__in=list(ids)).order_by("budget_id", "pk")
    return list(found.select_related("budget").select_for_update(of=("self",)))


@transaction.atomic
def sync(window_id: int, now: datetime) -> BudgetWindow:
    """Hold a window against the ledger: drop what has expired, and count anew what was spent.

    What a request with a reservation has booked so far is left out: its reservation stands for it.
    """
    (window,) = locked([window_id])
    window.reservations.filter(expires_at__lte=now).delete()
    open_ones = dict(window.reservations.values_list("trace_id", "units"))
    span = Window(window.starts_at, window.ends_at)
    found = spent(budget=window.budget, window=span, mode=window.provider_mode, without_traces=open_ones)
    window.spent_units, window.reserved_units, window.synced_at = units(found), sum(open_ones.values()), now
    window.save(update_fields=["spent_units", "reserved_units", "synced_at"])
    return window


def window_row(budget: Budget, mode: str, now: datetime) -> BudgetWindow:
    """The window of that moment; a new one begins with what the ledger knows."""
    span = current_window(budget, now)
    key = {"budget": budget, "provider_mode": mode, "starts_at": span.starts_at}
    found = BudgetWindow.objects.filter(**key).select_related("budget").first()
    if found is not None:
        return found
    with transaction.atomic():
        row = BudgetWindow(**key, ends_at=span.ends_at, synced_at=now)
        BudgetWindow.objects.bulk_create([row], ignore_conflicts=True)
        return sync(BudgetWindow.objects.get(**key).pk, now)


def current_window(budget: Budget, now: datetime) -> Window:
    return window_of(period=budget.period, now=now, zone=timezone.get_default_timezone())
