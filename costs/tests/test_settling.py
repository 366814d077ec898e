"""What was estimated is set right by the provider's bill: real calls to the sandbox, and its own reports."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from django.test import Client

from costs.bills import sources
from costs.bills.values import Bill, Span
from costs.models import LedgerEntry
from costs.reconciling import reconcile
from costs.recosting import recost
from costs.settling import Settlement, settle
from costs.spend import spent
from costs.tests.factories import make_budget
from costs.tests.paid_calls import (
    HAIKU,
    SONNET,
    Caller,
    bill_sums,
    booked,
    check,
    guessed,
    ledger_sums,
    ledger_usage,
    today,
)
from costs.tests.test_recosting import corrected_price
from costs.usage import Usage
from costs.windows import Window

pytestmark = pytest.mark.django_db


def settled(**changes: Any) -> list[Settlement]:
    return settle(check(sources.ask("anthropic", today()), **changes), dry_run=False)


def half_known(caller: Caller, *, model: str = SONNET) -> list[LedgerEntry]:
    """One call that is known exactly, one that was billed and guessed, and one that was guessed and never billed."""
    known, unknown = caller.claude(model=model)
    size = unknown.prompt_tokens
    return [
        booked(known, model=model, module="m3", corpus="handbook", api_key_id=7),
        guessed(Usage(size * 9 // 10), model=model, module="m3", corpus="handbook", api_key_id=7),
        guessed(Usage(size // 2), model=model, module="m6", corpus="policies", api_key_id=8),
    ]


def test_the_ledger_is_the_bill_to_the_token_and_the_last_digit(caller: Caller) -> None:
    half_known(caller)
    half_known(caller, model=HAIKU)
    assert ledger_sums() != bill_sums(caller.sandbox_url)

    found = settled()

    assert ledger_sums() == bill_sums(caller.sandbox_url)
    assert [(each.model, each.estimates, each.adjustments, each.why_not) for each in found] == [
        (HAIKU, 2, 2, ""),
        (SONNET, 2, 2, ""),
    ]


def test_the_entries_stay_as_they_were(caller: Caller) -> None:
    entries = half_known(caller)
    before = list(LedgerEntry.objects.calls().order_by("pk").values())

    settled()

    assert list(LedgerEntry.objects.calls().order_by("pk").values()) == before
    assert [entry.adjustments.count() for entry in entries] == [0, 1, 1]


def test_an_adjustment_stands_beside_its_entry_and_says_what_it_rests_on(caller: Caller) -> None:
    _, entry, _ = half_known(caller)

    settled()

    adjustment = entry.adjustments.get()
    assert (adjustment.kind, adjustment.correction) == ("adjustment", 1)
    assert adjustment.reason == f"the bill of anthropic for {today()}"
    for name in ("at", "trace_id", "attempt", "module", "corpus", "api_key_id", "model", "provider_mode", "price_id"):
        assert getattr(adjustment, name) == getattr(entry, name)


def test_a_second_run_writes_nothing(caller: Caller) -> None:
    half_known(caller)
    settled()
    rows = LedgerEntry.objects.count()

    (again,) = settled()

    assert (again.adjustments, again.usage, again.usd) == (0, Usage(), Decimal(0))
    assert LedgerEntry.objects.count() == rows


def test_a_dry_run_says_what_it_would_write(caller: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    half_known(caller)
    usage, usd = ledger_sums()
    billed, billed_usd = bill_sums(caller.sandbox_url)

    call_command("costs", "reconcile", "--day", str(today()), "--settle", "--dry-run")

    (told,) = (line for line in capsys.readouterr().out.splitlines() if "would be written" in line)
    assert f"{SONNET}: 2 estimates, 2 adjustments would be written" in told
    assert f"cache_read {billed.cache_read - usage.cache_read:+,}" in told
    assert f"{billed_usd - usd:+.8f} USD" in told
    assert LedgerEntry.objects.calls().count() == LedgerEntry.objects.count()


def test_what_was_never_billed_counts_nothing_afterwards(sandbox_url: str) -> None:
    guessed(Usage(1_000))
    guessed(Usage(2_000, output_tokens=30))

    settled()

    assert ledger_sums() == (Usage(), Decimal(0))


def test_a_bill_that_grows_is_settled_again(caller: Caller) -> None:
    half_known(caller)
    settled()
    caller.claude(times=1)  # what the provider tells late

    (again,) = settled(factor=Decimal(5))

    assert again.adjustments
    assert ledger_sums() == bill_sums(caller.sandbox_url)
    assert set(LedgerEntry.objects.filter(adjusts__isnull=False).values_list("correction", flat=True)) == {1, 2}


def test_every_split_of_a_sum_counts_it(caller: Caller) -> None:
    half_known(caller)
    settled()
    day = Window(today().since, today().until)

    budgets = [
        make_budget(),
        make_budget(scope="api_key", target="7"),
        make_budget(scope="api_key", target="8"),
        make_budget(scope="corpus", target="policies"),
    ]
    whole, first, second, corpus = (spent(budget=each, window=day, mode="simulated") for each in budgets)

    assert whole == bill_sums(caller.sandbox_url)[1]
    assert whole == first + second
    assert second == corpus


def test_a_new_price_corrects_what_was_settled(caller: Caller) -> None:
    half_known(caller)
    settled()
    price = corrected_price("0", effective_from=datetime(2026, 1, 1, tzinfo=UTC))
    type(price).objects.filter(pk=price.pk).update(cache_read_usd="10")

    recost(since=today().since, until=today().until, dry_run=False)

    usage, usd = ledger_sums()
    assert usage == bill_sums(caller.sandbox_url)[0]
    assert usd == usage.cache_read * Decimal(10) / 1_000_000


def test_days_are_settled_together(caller: Caller) -> None:
    """What was asked before midnight and billed after it drifts on both days, and on neither of them together."""
    known, unknown = caller.claude()
    booked(known, at=today().since - timedelta(seconds=1))
    guessed(unknown)

    both = Span(today().since - timedelta(days=1), today().until)
    (found,) = settle(check(sources.ask("anthropic", both), span=both), dry_run=False)

    assert found.why_not == ""
    assert ledger_sums() == bill_sums(caller.sandbox_url)


def test_minutes_are_settled_by_tokens_and_our_prices(caller: Caller) -> None:
    half_known(caller)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    span = Span(now - timedelta(minutes=2), now + timedelta(minutes=1))
    bill = sources.ask("anthropic", span)
    assert bill.usd is None

    settle(check(bill, span=span), dry_run=False)

    assert ledger_sums() == bill_sums(caller.sandbox_url)
    assert settle(check(bill, span=span), dry_run=False)[0].adjustments == 0


def test_names_with_and_without_the_date_of_the_snapshot_are_one_model(caller: Caller) -> None:
    known, unknown = caller.claude()
    booked(known, model=f"{SONNET}-20260101", cost_usd=None, price_id=None)
    guessed(unknown)
    price = corrected_price("3", model=f"{SONNET}-20260101", effective_from=datetime(2026, 1, 1, tzinfo=UTC))
    rates = {"cache_write_1h_usd": "6", "cache_read_usd": "0.3", "output_usd": "15"}
    type(price).objects.filter(pk=price.pk).update(**rates)
    recost(since=today().since, until=today().until, dry_run=False)

    (found,) = settled()

    assert (found.model, found.why_not) == (SONNET, "")
    assert ledger_sums() == bill_sums(caller.sandbox_url)


def test_a_bill_without_rows_for_a_provider_sets_its_estimates_to_nothing(db: None) -> None:
    guessed(Usage(1_000))

    (found,) = settle(check(Bill({}, {})), dry_run=False)

    assert (found.why_not, ledger_usage()) == ("", Usage())


def test_the_admin_shows_what_an_adjustment_takes_away(client: Client, alice: User) -> None:
    guessed(Usage(1_000, output_tokens=20))
    guessed(Usage(search_units=2), provider="cohere", model="rerank-v3.5")
    for provider in ("anthropic", "cohere"):
        settle(check(Bill({}, {}), provider=provider), dry_run=False)
    client.force_login(alice)

    page = client.get("/admin/costs/ledgerentry/", {"kind": "adjustment"}).content.decode()

    assert "adjustment: -1,000 / -20" in page
    assert "adjustment: -2 search units" in page


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_four_at_once_settle_once(caller: Caller) -> None:
    usages = caller.claude(times=12)
    for usage in usages[:6]:
        booked(usage)
    for usage in usages[6:]:
        guessed(Usage(usage.prompt_tokens))
    bill = sources.ask("anthropic", today())

    def run(_: int) -> int:
        try:
            return settle(check(bill), dry_run=False)[0].adjustments
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        written = list(threads.map(run, range(4)))

    assert sorted(written) == [0, 0, 0, 6]
    assert ledger_sums() == bill_sums(caller.sandbox_url)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_recost_at_the_same_time_loses_nothing(caller: Caller) -> None:
    usages = caller.claude(times=8)
    for usage in usages[:2]:
        booked(usage)
    for usage in usages[2:]:
        guessed(Usage(usage.prompt_tokens), cost_usd=Decimal(1), price_id=None)
    bill = sources.ask("anthropic", today())

    def run(number: int) -> None:
        try:
            if number % 2:
                recost(since=today().since, until=today().until, dry_run=False)
            else:
                settle(check(bill), dry_run=False)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(run, range(4)))
    settle(check(bill), dry_run=False)

    assert reconcile(check(bill)).equal
    assert ledger_sums() == bill_sums(caller.sandbox_url)
