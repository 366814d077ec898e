"""A crossing is told once, whoever looks, however often."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from costs.alerts import raise_alert
from costs.models import Alert, AlertDelivery, Budget
from costs.tests.factories import NOON, alerts_of, make_budget, make_channel, spend
from costs.watching import watch_budgets, watch_prices

pytestmark = pytest.mark.django_db


def thresholds() -> list[int]:
    return sorted(alert.detail["threshold_percent"] for alert in alerts_of(Alert.Kind.BUDGET))


class TestACrossing:
    def test_raises_one_alert_for_each_threshold(self):
        make_budget(hard=False)
        spend("4.10")

        watch_budgets(NOON)
        watch_budgets(NOON + timedelta(minutes=1))

        assert thresholds() == [50, 80]
        spend("1.00")
        watch_budgets(NOON + timedelta(minutes=2))
        assert thresholds() == [50, 80, 100]

    def test_is_told_again_in_the_next_window(self):
        make_budget()
        spend("2.60")
        watch_budgets(NOON)

        spend("2.60", at=NOON + timedelta(days=1))
        watch_budgets(NOON + timedelta(days=1))

        assert thresholds() == [50, 50]

    def test_says_what_was_spent_and_when_it_resets(self):
        make_budget()
        spend("5.25")

        watch_budgets(NOON)

        full = next(alert for alert in alerts_of(Alert.Kind.BUDGET) if alert.detail["threshold_percent"] == 100)
        assert full.severity == "critical"
        assert "$5.2500 of $5.00 (simulated)" in full.message
        assert full.detail["resets_at"] == "2026-11-21T00:00:00+00:00"
        assert "refused" in full.message

    def test_just_before_midnight_is_noticed_after_it(self):
        make_budget()
        late = NOON.replace(hour=23, minute=59, second=59)
        spend("5.25", at=late)

        watch_budgets(late + timedelta(minutes=1))

        assert thresholds() == [50, 80, 100]

    def test_of_a_budget_that_is_off_is_told_to_nobody(self):
        make_budget(active=False)
        spend("5.25")

        watch_budgets(NOON)

        assert thresholds() == []

    def test_by_simulated_money_does_not_hide_that_by_real_money(self, settings):
        make_budget()
        spend("2.60")
        watch_budgets(NOON)
        settings.PROVIDERS = {**settings.PROVIDERS, "anthropic": {**settings.PROVIDERS["anthropic"], "mode": "live"}}

        watch_budgets(NOON)
        assert thresholds() == [50]
        spend("2.60", provider_mode="live")
        watch_budgets(NOON)

        assert thresholds() == [50, 50]

    def test_of_a_budget_of_the_month_counts_all_its_days(self):
        Budget.objects.all().delete()
        make_budget(period="month", limit_usd=Decimal(10))
        for day in (1, 10, 19):
            spend("2", at=NOON.replace(day=day))

        watch_budgets(NOON)

        assert thresholds() == [50]


class TestAnUnpricedModel:
    def test_is_told_once_a_day(self):
        for _ in range(3):
            spend(None, model="mystery")
        watch_prices(NOON)
        watch_prices(NOON + timedelta(minutes=1))
        spend(None, model="mystery", at=NOON + timedelta(days=1))

        watch_prices(NOON + timedelta(days=1))

        assert [alert.detail["calls"] for alert in alerts_of(Alert.Kind.UNPRICED)] == [3, 1]

    def test_says_nothing_of_those_with_a_price(self):
        spend("1")

        watch_prices(NOON)

        assert alerts_of(Alert.Kind.UNPRICED) == []


def test_an_alert_has_a_delivery_for_every_channel_that_is_active():
    make_channel("https://example.com/a")
    make_channel("https://example.com/b", active=False)

    raise_alert(kind=Alert.Kind.OUTAGE, key="1", severity=Alert.Severity.INFO, message="m", at=NOON, detail={})

    assert AlertDelivery.objects.count() == 1


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_of_many_who_notice_a_crossing_one_tells_it():
    make_budget()
    make_channel("https://example.com/a")
    spend("5.25")

    def look(_: int) -> None:
        watch_budgets(NOON)
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(look, range(16)))

    assert thresholds() == [50, 80, 100]
    assert AlertDelivery.objects.count() == 3
