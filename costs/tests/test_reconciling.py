"""A day of the ledger against the provider's own report, over real HTTP to the sandbox."""

from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from costs.models import Alert, LedgerEntry
from costs.recosting import recost
from costs.tests.factories import alerts_of
from costs.tests.paid_calls import HAIKU, SONNET, Caller, booked, guessed, today
from costs.tests.test_recosting import corrected_price
from costs.usage import Usage

pytestmark = pytest.mark.django_db


def reconcile(*options: str) -> None:
    call_command("costs", "reconcile", "--day", str(today()), "--provider", "anthropic", *options)


def book_all(usages: list[Usage], *, model: str = SONNET) -> Usage:
    """The last of them."""
    for usage in usages:
        booked(usage, model=model)
    return usages[-1]


def test_a_day_that_was_booked_as_it_was_billed_is_right(caller: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    book_all(caller.claude())
    book_all(caller.claude(model=HAIKU), model=HAIKU)

    reconcile("--tolerance", "0")

    head, *lines, verdict = capsys.readouterr().out.splitlines()
    kinds = ("total", "input_tokens", "cache_write_1h", "cache_read", "output_tokens")
    assert head == f"anthropic (simulated), {today()}"
    assert [line.split(":")[0] for line in lines] == [
        f"ok     {model} {kind}" for model in (HAIKU, SONNET) for kind in kinds
    ]
    assert verdict == (f"{today()}: the ledger (simulated) is what anthropic reports, to the token and the last digit")


def test_a_call_that_was_not_booked_is_drift(
    caller: Caller, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    book_all(caller.claude())
    caller.claude(model=HAIKU)

    with pytest.raises(CommandError, match="5 rows drift"):
        reconcile()

    drifting = [line for line in capsys.readouterr().out.splitlines() if line.startswith("DRIFT")]
    assert len(drifting) == 5
    assert all(HAIKU in line for line in drifting)
    assert f"the ledger of {today()} is not what anthropic reports" in caplog.text
    (alert,) = alerts_of(Alert.Kind.DRIFT)
    assert (alert.severity, alert.detail["reasons"]) == ("critical", {HAIKU: "no call of it is estimated"})


def test_a_wrong_price_is_drift_and_a_recost_mends_it(caller: Caller) -> None:
    wrong = corrected_price("1", effective_from=datetime(2026, 1, 1, tzinfo=UTC))
    book_all(caller.claude())
    assert LedgerEntry.objects.first().price == wrong  # type: ignore[union-attr]
    with pytest.raises(CommandError, match="rows drift"):
        reconcile()
    right = {"cache_write_5m_usd": "3.75", "cache_write_1h_usd": "6", "cache_read_usd": "0.3", "output_usd": "15"}
    mended = corrected_price("3", effective_from=datetime(2026, 1, 2, tzinfo=UTC))
    type(mended).objects.filter(pk=mended.pk).update(**right)

    recost(since=datetime(2026, 1, 1, tzinfo=UTC), until=datetime(2100, 1, 1, tzinfo=UTC), dry_run=False)

    reconcile("--tolerance", "0")


def test_what_is_estimated_is_told_apart_and_explains_a_difference(
    caller: Caller, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = book_all(caller.claude())
    guessed(usage)

    reconcile()

    told = capsys.readouterr().out
    assert "1 calls are estimated: what was billed for them is not known here" in told
    assert f"estimated {usage.cache_read:,} / " in told
    assert "to the token" not in told


def test_a_small_difference_is_tolerated_if_it_is_said(caller: Caller) -> None:
    usage = book_all(caller.claude())
    booked(Usage(cache_read=usage.cache_read // 50))

    with pytest.raises(CommandError):
        reconcile("--tolerance", "1")
    reconcile("--tolerance", "3")


def test_what_has_no_price_is_told(caller: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    for usage in caller.claude():
        booked(usage, cost_usd=None, price_id=None)

    with pytest.raises(CommandError):
        reconcile()

    assert "2 calls are unpriced" in capsys.readouterr().out


def test_real_money_is_not_compared_with_the_sandboxs(caller: Caller) -> None:
    for usage in caller.claude():
        booked(usage, provider_mode="live")

    with pytest.raises(CommandError):
        reconcile()


def test_a_day_without_calls_is_right(sandbox_url: str) -> None:
    call_command("costs", "reconcile", "--day", "2026-01-01")


def test_every_provider_with_a_report_is_held_against_it(caller: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    book_all(caller.claude())
    booked(caller.openai("What is a transaction?"), provider="openai", model="text-embedding-3-small")

    call_command("costs", "reconcile", "--day", str(today()), "--tolerance", "0")

    verdicts = [line for line in capsys.readouterr().out.splitlines() if "to the token and the last digit" in line]
    assert [line.partition("what ")[2].split(" ")[0] for line in verdicts] == ["anthropic", "openai"]


def test_minutes_are_held_against_usage_without_cost(caller: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    began = datetime.now(UTC).replace(second=0, microsecond=0)
    book_all(caller.claude())
    ends = datetime.now(UTC).replace(second=0, microsecond=0).timestamp() + 60

    span = ("--since", f"{began:%Y-%m-%dT%H:%M}", "--until", f"{datetime.fromtimestamp(ends, UTC):%Y-%m-%dT%H:%M}")
    call_command("costs", "reconcile", *span, "--provider", "anthropic", "--tolerance", "0")

    told = capsys.readouterr().out
    assert f"{SONNET} total: ledger 0 / " in told
    assert "; provider 0 / not told" in told
    assert "to the token and the last digit" in told


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--since", "2026-11-20T10:15"), "--since needs --until"),
        (("--since", "2026-11-20T10:15", "--until", "2026-11-20T10:15"), "is not after"),
        (("--since", "2026-11-20T10:15:30", "--until", "2026-11-20T10:16"), "a whole minute"),
        (("--day", "2026-11-20", "--provider", "voyage"), "voyage has no report to ask for"),
        (("--day", "2026-11-20", "--provider", "anthropic"), "set ANTHROPIC_ADMIN_KEY"),
        (("--day", "2026-11-20"), "set ANTHROPIC_ADMIN_KEY or OPENAI_ADMIN_KEY"),
    ],
)
def test_what_cannot_be_compared_says_why(options: tuple[str, ...], why: str, settings: LazySettings) -> None:
    live = {"api_key": "sk", "base_url": "https://provider.example", "mode": "live"}
    settings.PROVIDERS = dict.fromkeys(settings.PROVIDERS, live)

    with pytest.raises(CommandError, match=why):
        call_command("costs", "reconcile", *options)


def test_a_report_that_the_sandbox_does_not_keep_any_more_is_no_drift(caller: Caller) -> None:
    order = {"endpoint": "anthropic.cost_report", "fault": {"kind": "status", "status": 410}, "times": 1}
    httpx.post(f"{caller.sandbox_url}/_control", json=order).raise_for_status()

    with pytest.raises(CommandError, match="the provider refuses the report"):
        reconcile()

    assert alerts_of(Alert.Kind.DRIFT) == []


def test_the_smallest_amount_that_differs_is_seen(caller: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = caller.claude()
    booked(first)
    entry = booked(second)
    LedgerEntry.objects.create(
        **{name: getattr(entry, name) for name in ("at", "trace_id", "provider", "model", "operation", "outcome")},
        **{"provider_mode": "simulated", "kind": "ask", "latency_ms": 0.0, "attempt": 99, "cost_usd": Decimal("1E-8")},
    )

    reconcile()

    assert "to the token and the last digit" not in capsys.readouterr().out
