"""A corrected price makes adjustments, once; what was booked stays as it was."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.models import Sum
from django.urls import reverse

from costs.ledger import Attempt, Booking, book
from costs.models import LedgerEntry, ModelPrice
from costs.recosting import recost
from costs.usage import Usage

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
SONNET = "claude-sonnet-4-6"
RANGE = {"since": AT - timedelta(days=1), "until": AT + timedelta(days=1)}


def booked(*, trace_id: str = "t1", count: int = 1, **changes: Any) -> None:
    known: dict[str, Any] = {
        "at": AT,
        "provider": "anthropic",
        "model": SONNET,
        "operation": "generate",
        "provider_mode": "live",
        "outcome": "ok",
        "usage": Usage(input_tokens=1_000_000),
        "cost_usd": Decimal(3),
        "price_id": ModelPrice.objects.get(model=SONNET, effective_from__lt=AT).pk
        if "price_id" not in changes
        else None,
        "latency_ms": 1.0,
    }
    booking = Booking(trace_id=trace_id, kind="ask", module="m3", corpus="handbook", prompt_version="v1", api_key_id=7)
    book(attempts=[Attempt(**(known | changes))] * count, booking=booking)


def corrected_price(
    input_usd: str, *, model: str = SONNET, effective_from: datetime = AT - timedelta(hours=1)
) -> ModelPrice:
    return ModelPrice.objects.create(
        provider="anthropic", model=model, effective_from=effective_from, input_usd=Decimal(input_usd), source="invoice"
    )


def total() -> Decimal:
    found: Decimal | None = LedgerEntry.objects.aggregate(total=Sum("cost_usd"))["total"]
    return found or Decimal(0)


def test_a_new_price_changes_nothing_that_was_booked() -> None:
    booked()
    before = list(LedgerEntry.objects.values())

    corrected_price("2")

    assert list(LedgerEntry.objects.values()) == before


def test_the_difference_is_booked_beside_the_entry() -> None:
    booked()
    price = corrected_price("2")

    (change,) = recost(**RANGE, dry_run=False)

    entry, adjustment = LedgerEntry.objects.order_by("pk")
    assert (entry.cost_usd, adjustment.cost_usd, total()) == (Decimal(3), Decimal(-1), Decimal(2))
    assert (adjustment.kind, adjustment.adjusts, adjustment.correction) == ("adjustment", entry, 1)
    assert (adjustment.price, adjustment.usage()) == (price, Usage())
    for name in ("at", "trace_id", "module", "corpus", "prompt_version", "api_key_id", "model", "provider_mode"):
        assert getattr(adjustment, name) == getattr(entry, name)
    assert (change.entries, change.before, change.after) == (1, Decimal(3), Decimal(2))


def test_a_second_run_does_nothing() -> None:
    booked()
    corrected_price("2")
    recost(**RANGE, dry_run=False)

    assert recost(**RANGE, dry_run=False) == []
    assert LedgerEntry.objects.count() == 2


def test_a_correction_is_corrected_in_its_turn() -> None:
    booked()
    corrected_price("2")
    recost(**RANGE, dry_run=False)
    corrected_price("5", effective_from=AT - timedelta(minutes=1))

    recost(**RANGE, dry_run=False)

    assert total() == Decimal(5)
    assert list(LedgerEntry.objects.order_by("correction").values_list("correction", flat=True)) == [0, 1, 2]


def test_a_dry_run_shows_it_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    booked()
    booked(trace_id="t2", provider_mode="simulated")
    corrected_price("2")

    call_command("costs", "recost", "--from", "2026-11-20", "--to", "2026-11-20", "--dry-run")

    assert capsys.readouterr().out.splitlines() == [
        f"live  anthropic {SONNET}: 1 entries, 3.00000000 -> 2.00000000 USD (-1.00000000)",
        f"simulated  anthropic {SONNET}: 1 entries, 3.00000000 -> 2.00000000 USD (-1.00000000)",
        "2 entries would be adjusted",
    ]
    assert LedgerEntry.objects.count() == 2


def test_what_was_unpriced_gets_its_price() -> None:
    booked(model="new-model", cost_usd=None, price_id=None)
    assert LedgerEntry.objects.unpriced().count() == 1
    corrected_price("4", model="new-model")

    recost(**RANGE, dry_run=False)

    assert (total(), LedgerEntry.objects.unpriced().count()) == (Decimal(4), 0)
    assert LedgerEntry.objects.calls().get().cost_usd is None


def test_only_the_days_that_are_named_are_corrected() -> None:
    booked()
    booked(trace_id="t2", at=AT + timedelta(days=1))
    corrected_price("2")

    call_command("costs", "recost", "--from", "2026-11-20", "--to", "2026-11-20")

    assert total() == Decimal(5)


def test_a_row_that_begins_later_corrects_nothing() -> None:
    booked()
    corrected_price("2", effective_from=AT + timedelta(seconds=1))

    assert recost(**RANGE, dry_run=False) == []


def test_what_is_the_same_under_another_row_needs_no_adjustment() -> None:
    booked()
    corrected_price("3")

    assert recost(**RANGE, dry_run=False) == []


def test_days_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(CommandError, match="--to lies before --from"):
        call_command("costs", "recost", "--from", "2026-11-20", "--to", "2026-11-18")


def test_booking_the_call_again_keeps_entry_and_adjustment() -> None:
    booked()
    corrected_price("2")
    recost(**RANGE, dry_run=False)

    booked(cost_usd=Decimal(9), price_id=None)

    assert total() == Decimal(2)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_four_at_once_adjust_once() -> None:
    for number in range(20):
        booked(trace_id=f"t{number}", count=30)
    corrected_price("2")

    def run(_: int) -> None:
        try:
            recost(**RANGE, dry_run=False)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(run, range(4)))

    assert (LedgerEntry.objects.count(), total()) == (1_200, Decimal(1_200))


class TestAdmin:
    @pytest.fixture
    def staff_page(self, client, alice):
        client.force_login(alice)
        return client

    def post(self, page: Any, **changes: str) -> Any:
        form = {
            **{field.name: field.get_default() for field in ModelPrice._meta.fields if field.has_default()},
            **{"provider": "anthropic", "model": SONNET, "input_usd": "2", "source": "invoice"},
            **{"effective_from_0": "2026-11-20", "effective_from_1": "00:00:00"},
        }
        data = {name: value for name, value in (form | changes).items() if value is not None}
        return page.post(reverse("admin:costs_modelprice_add"), data, follow=True).content.decode()

    def test_a_price_that_begins_in_the_past_says_what_it_does_not_change(self, staff_page: Any) -> None:
        booked()

        told = self.post(staff_page)

        assert "1 calls were booked since, and stay as they were charged" in told
        assert "costs recost --from 2026-11-20" in told
        assert total() == Decimal(3)

    def test_a_price_that_begins_later_says_when(self, staff_page: Any) -> None:
        assert "It is in force from 2099-01-01" in self.post(staff_page, effective_from_0="2099-01-01")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"cache_read_usd": "-1"}, "A price is never negative"),
            ({"input_usd": "0"}, "Every price is 0"),
            ({"source": ""}, "This field is required"),
            ({"effective_from_0": "2025-01-01"}, "already exists"),
        ],
    )
    def test_what_cannot_be_a_price_is_refused(self, changes: dict[str, str], message: str, staff_page: Any) -> None:
        before = ModelPrice.objects.count()

        told = self.post(staff_page, **changes)

        assert (message in told, ModelPrice.objects.count()) == (True, before)

    def test_the_ledger_shows_adjustments(self, staff_page: Any) -> None:
        booked()
        corrected_price("2")
        recost(**RANGE, dry_run=False)

        told = staff_page.get("/admin/costs/ledgerentry/", {"kind": "adjustment"}).content.decode()

        assert "$-1.00000000" in told
