"""The ledger only grows, and tells unpriced from free."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from costs.ledger import Attempt, Booking, book, entry_of, load_price_table
from costs.models import AppendOnly, LedgerEntry, ModelPrice
from costs.usage import Usage

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
BOOKING = Booking(trace_id="t1", kind="ask", module="m3-hybrid", corpus="handbook", prompt_version="v2", api_key_id=7)
ATTEMPT = Attempt(
    at=AT,
    provider="anthropic",
    model="claude-sonnet-4-6",
    operation="generate",
    provider_mode="simulated",
    outcome="ok",
    usage=Usage(1, 20, 300, 4_000, 50_000, 6),
    cost_usd=Decimal("0.12345678"),
    price_id=None,
    latency_ms=12.5,
    request_id="req_1",
    estimated=True,
)


def booked(attempt: Attempt = ATTEMPT) -> LedgerEntry:
    book(attempts=[attempt], booking=BOOKING)
    return LedgerEntry.objects.get()


def test_it_keeps_everything_that_is_known_of_an_attempt() -> None:
    price = ModelPrice.objects.first()
    assert price is not None

    entry = booked(replace(ATTEMPT, price_id=price.pk))

    assert entry.usage() == ATTEMPT.usage
    for name in ("at", "provider", "model", "operation", "provider_mode", "outcome", "latency_ms", "request_id"):
        assert getattr(entry, name) == getattr(ATTEMPT, name)
    assert (entry.cost_usd, entry.estimated, entry.price_id) == (Decimal("0.12345678"), True, price.pk)
    assert (entry.trace_id, entry.kind, entry.module, entry.corpus) == ("t1", "ask", "m3-hybrid", "handbook")
    assert (entry.prompt_version, entry.api_key_id) == ("v2", 7)


def test_it_numbers_the_attempts_of_a_trace() -> None:
    book(attempts=[ATTEMPT, ATTEMPT], booking=BOOKING)
    book(attempts=[ATTEMPT], booking=BOOKING, first=2)

    assert sorted(LedgerEntry.objects.values_list("attempt", flat=True)) == [0, 1, 2]


def test_booking_twice_keeps_the_first_entry() -> None:
    book(attempts=[ATTEMPT], booking=BOOKING)
    book(attempts=[replace(ATTEMPT, cost_usd=Decimal(9))], booking=BOOKING)

    assert LedgerEntry.objects.get().cost_usd == Decimal("0.12345678")


def test_two_traces_have_entries_of_their_own() -> None:
    book(attempts=[ATTEMPT], booking=BOOKING)
    book(attempts=[ATTEMPT], booking=replace(BOOKING, trace_id="t2"))

    assert LedgerEntry.objects.count() == 2


def test_unpriced_is_null_and_free_is_zero() -> None:
    book(attempts=[replace(ATTEMPT, cost_usd=None), replace(ATTEMPT, cost_usd=Decimal(0))], booking=BOOKING)

    costs = list(LedgerEntry.objects.order_by("attempt").values_list("cost_usd", flat=True))
    assert costs == [None, Decimal(0)]
    assert [str(entry).split()[-1] for entry in LedgerEntry.objects.order_by("attempt")] == ["unpriced", "0E-8"]


def test_an_entry_refuses_to_be_saved_again() -> None:
    entry = booked()

    with pytest.raises(AppendOnly):
        entry.save()


def test_an_entry_refuses_to_be_written_over_by_a_new_object() -> None:
    entry = booked()
    impostor = entry_of(attempt=replace(ATTEMPT, cost_usd=Decimal(0)), booking=BOOKING, number=0)
    impostor.pk = entry.pk

    with pytest.raises((AppendOnly, IntegrityError)), transaction.atomic():
        impostor.save()
    assert LedgerEntry.objects.get().cost_usd == ATTEMPT.cost_usd


def test_an_entry_refuses_to_be_deleted() -> None:
    entry = booked()

    with pytest.raises(AppendOnly):
        entry.delete()


def test_a_query_set_refuses_to_update() -> None:
    entry = booked()

    with pytest.raises(AppendOnly):
        LedgerEntry.objects.filter(pk=entry.pk).update(cost_usd=0)
    with pytest.raises(AppendOnly):
        LedgerEntry.objects.bulk_update([entry], ["cost_usd"])


def test_a_query_set_refuses_to_delete() -> None:
    booked()

    with pytest.raises(AppendOnly):
        LedgerEntry.objects.all().delete()


def test_update_or_create_is_refused() -> None:
    booked()

    with pytest.raises(AppendOnly):
        LedgerEntry.objects.update_or_create(trace_id="t1", attempt=0, defaults={"cost_usd": Decimal(0)})


def test_a_price_that_was_charged_cannot_be_deleted() -> None:
    price = ModelPrice.objects.first()
    assert price is not None
    booked(replace(ATTEMPT, price_id=price.pk))

    with pytest.raises(ProtectedError):
        price.delete()


def test_it_loads_the_whole_price_table() -> None:
    row = ModelPrice.objects.get(model="claude-haiku-5-5")

    found = load_price_table().find(provider="anthropic", model="claude-haiku-5-5", at=AT)

    assert found == row.as_price()
    assert found is not None
    assert (found.id, found.tier_threshold, found.tier_factor) == (row.pk, 100_000, Decimal(5))
