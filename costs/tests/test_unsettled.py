"""What estimates cannot account for is not settled, and raises an alert: real calls to the sandbox, and its own reports."""

from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command

from costs.models import Alert, LedgerEntry
from costs.tests.factories import alerts_of
from costs.tests.paid_calls import HAIKU, SONNET, Caller, bill_sums, booked, guessed, ledger_sums, today
from costs.tests.test_recosting import corrected_price
from costs.tests.test_settling import half_known, settled
from costs.usage import Usage

pytestmark = pytest.mark.django_db


def drifting(caller: Caller, *options: str) -> Alert:
    """The alert that a run raises which cannot settle."""
    rows = LedgerEntry.objects.count()
    with pytest.raises(CommandError, match="rows drift"):
        call_command("costs", "reconcile", "--day", str(today()), "--provider", "anthropic", "--settle", *options)
    assert LedgerEntry.objects.count() == rows
    (alert,) = alerts_of(Alert.Kind.DRIFT)
    return alert


def test_without_an_estimate_of_the_model_there_is_nothing_to_settle(caller: Caller) -> None:
    booked(caller.claude()[0])
    caller.claude(model=HAIKU)
    guessed(Usage(50_000))

    rows = LedgerEntry.objects.filter(model=HAIKU).count()
    with pytest.raises(CommandError, match="rows drift"):
        call_command("costs", "reconcile", "--day", str(today()), "--provider", "anthropic", "--settle")

    (alert,) = alerts_of(Alert.Kind.DRIFT)
    assert alert.detail["reasons"][HAIKU] == "no call of it is estimated"
    assert LedgerEntry.objects.filter(model=HAIKU).count() == rows


def test_what_is_more_than_estimates_can_be_is_not_settled(caller: Caller) -> None:
    usage = caller.claude(times=3)[0]
    booked(usage)
    guessed(Usage(usage.prompt_tokens // 3))

    alert = drifting(caller)

    assert "prompt tokens are more than its 1 estimates can be" in alert.detail["reasons"][SONNET]


def test_how_far_estimates_can_be_off_may_be_said(caller: Caller) -> None:
    usage = caller.claude()[0]
    booked(usage)
    guessed(Usage(usage.prompt_tokens // 3))

    with pytest.raises(CommandError):
        call_command("costs", "reconcile", "--day", str(today()), "--settle")
    call_command("costs", "reconcile", "--day", str(today()), "--settle", "--estimate-factor", "4")

    assert ledger_sums() == bill_sums(caller.sandbox_url)


def test_a_bill_below_what_the_provider_had_told_is_not_settled(caller: Caller) -> None:
    usage = caller.claude(times=1)[0]
    booked(usage)
    booked(usage)
    guessed(usage)

    alert = drifting(caller)

    assert "the provider counted less than it had told us" in alert.detail["reasons"][SONNET]


def test_a_cost_that_the_price_table_does_not_explain_is_not_settled(caller: Caller) -> None:
    wrong = corrected_price("1", effective_from=datetime(2026, 1, 1, tzinfo=UTC))
    type(wrong).objects.filter(pk=wrong.pk).update(output_usd="15")
    half_known(caller)
    assert LedgerEntry.objects.earliest("pk").price == wrong

    alert = drifting(caller)

    assert "is not what these tokens cost by the price table" in alert.detail["reasons"][SONNET]


def test_an_estimate_without_a_price_is_not_settled(sandbox_url: str) -> None:
    guessed(Usage(1_000), cost_usd=None, price_id=None)

    (found,) = settled()

    assert "it has no price here" in found.why_not
    assert LedgerEntry.objects.count() == 1
