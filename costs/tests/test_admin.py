"""The pages of prices and of the ledger."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from costs.models import LedgerEntry, ModelPrice

pytestmark = pytest.mark.django_db
LEDGER = "/admin/costs/ledgerentry/"


@pytest.fixture
def staff_page(client, alice):
    client.force_login(alice)
    return client


def entry(**fields: Any) -> LedgerEntry:
    values = {
        "at": timezone.now(),
        "trace_id": "a" * 32,
        "attempt": LedgerEntry.objects.count(),
        "kind": "ask",
        "provider": "anthropic",
        "model": "claude-sonnet-4-6",
        "operation": "generate",
        "provider_mode": "live",
        "outcome": "ok",
        "latency_ms": 812.5,
        "cost_usd": Decimal("0.0075"),
    }
    return LedgerEntry.objects.create(**(values | fields))


def test_it_adds_a_price(staff_page):
    form = {
        **{field.name: field.get_default() for field in ModelPrice._meta.fields if field.has_default()},
        **{"provider": "anthropic", "model": "new", "input_usd": "3", "source": "price page"},
        **{"effective_from_0": "2030-01-01", "effective_from_1": "00:00:00"},
    }

    staff_page.post(reverse("admin:costs_modelprice_add"), {k: v for k, v in form.items() if v is not None})

    assert ModelPrice.objects.get(model="new").input_usd == Decimal(3)


def test_it_changes_and_deletes_no_price(staff_page):
    price = ModelPrice.objects.earliest("pk")
    address = reverse("admin:costs_modelprice_change", args=[price.pk])

    assert staff_page.post(address, {"input_usd": "0"}).status_code == 403
    assert staff_page.post(reverse("admin:costs_modelprice_delete", args=[price.pk])).status_code == 403


def test_it_only_shows_the_ledger(staff_page):
    row = entry()

    assert staff_page.get(reverse("admin:costs_ledgerentry_change", args=[row.pk])).status_code == 200
    assert staff_page.get(reverse("admin:costs_ledgerentry_add")).status_code == 403
    assert staff_page.post(reverse("admin:costs_ledgerentry_delete", args=[row.pk])).status_code == 403


def test_it_marks_simulated_money(staff_page):
    entry(provider_mode="simulated")

    assert '<span class="badge badge-notice">simulated</span> $0.00750000' in staff_page.get(LEDGER).content.decode()


def test_it_does_not_mark_live_money(staff_page):
    entry(provider_mode="live")

    assert "badge-notice" not in staff_page.get(LEDGER).content.decode()


def test_it_shows_an_unknown_price_loudly(staff_page):
    entry(cost_usd=None)

    assert '<span class="badge badge-bad">unpriced</span>' in staff_page.get(LEDGER).content.decode()


def test_it_finds_the_unpriced_entries(staff_page):
    entry(cost_usd=None, model="mystery")
    entry(model="known")

    text = staff_page.get(LEDGER, {"price_known": "no"}).content.decode()

    assert "mystery" in text
    assert '"field-model">known' not in text


def test_it_shows_no_ledger_to_staff_without_the_permission(client):
    client.force_login(User.objects.create_user("carol", is_staff=True))

    assert client.get(LEDGER).status_code == 403
