"""What beat looks at every day, with the real sandbox's reports."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from django.conf import LazySettings

from costs.bill_watching import days_over, watch_bills
from costs.models import Alert, LedgerEntry
from costs.tests.factories import alerts_of
from costs.tests.paid_calls import HAIKU, SMALL, Caller, bill_sums, booked, guessed, ledger_sums, today
from costs.usage import Usage

pytestmark = pytest.mark.django_db


def tomorrow() -> datetime:
    """When the bill of today is complete."""
    return today().until + timedelta(hours=7)


def half_known(caller: Caller) -> None:
    known, unknown = caller.claude()
    booked(known)
    guessed(Usage(unknown.prompt_tokens))
    booked(caller.openai("What is a transaction?"), provider="openai", model=SMALL)
    guessed(Usage(20), provider="openai", model=SMALL)


def test_estimates_of_the_day_before_are_settled(caller: Caller) -> None:
    half_known(caller)

    watch_bills(tomorrow())

    assert ledger_sums() == bill_sums(caller.sandbox_url)
    assert alerts_of(Alert.Kind.DRIFT) == []


def test_looking_again_changes_nothing(caller: Caller) -> None:
    half_known(caller)
    watch_bills(tomorrow())
    rows = LedgerEntry.objects.count()

    watch_bills(tomorrow() + timedelta(days=1))

    assert LedgerEntry.objects.count() == rows


def test_settling_may_be_left_to_people(caller: Caller, settings: LazySettings) -> None:
    settings.SETTLE_DAILY = False
    half_known(caller)

    watch_bills(tomorrow())

    assert LedgerEntry.objects.count() == LedgerEntry.objects.calls().count()
    assert alerts_of(Alert.Kind.DRIFT) == []


def test_a_drift_raises_one_alert_however_often_it_is_met(caller: Caller) -> None:
    booked(caller.claude(model=HAIKU)[0], model=HAIKU)

    for days in range(3):
        watch_bills(tomorrow() + timedelta(days=days))

    (alert,) = alerts_of(Alert.Kind.DRIFT)
    assert alert.message == f"the ledger of {today()} is not what anthropic reports"
    assert (alert.severity, alert.detail["provider_mode"]) == ("critical", "simulated")


def test_a_bill_that_cannot_be_had_is_told_once_a_day(sandbox_url: str) -> None:
    order = {"endpoint": "openai.usage", "fault": {"kind": "status", "status": 401}, "times": None}
    httpx.post(f"{sandbox_url}/_control", json=order).raise_for_status()

    for _ in range(2):
        watch_bills(tomorrow())

    alerts = alerts_of(Alert.Kind.DRIFT)
    assert [alert.severity for alert in alerts] == ["warning"] * 3
    assert all("could not be held against the bill of openai" in alert.message for alert in alerts)
    httpx.delete(f"{sandbox_url}/_control").raise_for_status()


def test_a_real_provider_without_an_admin_key_is_not_asked(settings: LazySettings) -> None:
    live = {"api_key": "sk", "base_url": "https://provider.example", "mode": "live"}
    settings.PROVIDERS = dict.fromkeys(settings.PROVIDERS, live)

    watch_bills(tomorrow())

    assert alerts_of(Alert.Kind.DRIFT) == []


@pytest.mark.parametrize(
    ("now", "days"),
    [
        ("2026-11-22T05:59:59", ["2026-11-18", "2026-11-19", "2026-11-20"]),
        ("2026-11-22T06:00:00", ["2026-11-19", "2026-11-20", "2026-11-21"]),
    ],
)
def test_days_are_looked_at_when_their_bill_should_be_complete(now: str, days: list[str]) -> None:
    assert [str(day) for day in days_over(datetime.fromisoformat(now).replace(tzinfo=UTC))] == days
