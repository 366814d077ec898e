"""A day of the ledger against the provider's own report, over real HTTP to the sandbox."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import anthropic
import httpx
import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from costs.ledger import Attempt, Booking, book, load_price_table
from costs.models import LedgerEntry
from costs.prices import cost
from costs.provider_report import ReportUnavailable, amounts_of, provider_day
from costs.recosting import recost
from costs.tests.test_recosting import corrected_price
from costs.usage import Usage

pytestmark = pytest.mark.django_db

SONNET, HAIKU = "claude-sonnet-4-6", "claude-haiku-4-5"
BIG = "The on-call engineer is paged when two probes fail within five minutes. " * 400


@pytest.fixture
def sandbox_url(sandbox: str) -> str:
    for door in ("_control", "_bill"):
        httpx.delete(f"{sandbox}/{door}").raise_for_status()
    return sandbox


def called(sandbox_url: str, *, model: str = SONNET, book_it: bool = True, **changes: Any) -> Usage:
    """A real call, and what the application would book of it."""
    at = datetime.now(UTC)
    system: Any = [{"type": "text", "text": f"{at} {BIG}", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    with anthropic.Anthropic(api_key="sk-reconcile", base_url=f"{sandbox_url}/anthropic", max_retries=0) as client:
        for _ in range(2):  # the second reads what the first has written
            told = client.messages.create(
                model=model,
                max_tokens=50,
                system=system,
                messages=[{"role": "user", "content": "Hello?"}],
            ).usage
            created = told.cache_creation
            assert created is not None
            usage = Usage(
                told.input_tokens,
                created.ephemeral_5m_input_tokens,
                created.ephemeral_1h_input_tokens,
                told.cache_read_input_tokens or 0,
                told.output_tokens,
            )
            if book_it:
                booked(model, usage, at, **changes)
    return usage


def booked(model: str, usage: Usage, at: datetime, **changes: Any) -> None:
    price = load_price_table().find(provider="anthropic", model=model, at=at)
    known: dict[str, Any] = {
        "at": at,
        "provider": "anthropic",
        "model": model,
        "operation": "generate",
        "provider_mode": "simulated",
        "outcome": "ok",
        "usage": usage,
        "cost_usd": cost(usage=usage, price=price) if price else None,
        "price_id": price.id if price else None,
        "latency_ms": 1.0,
    }
    number = LedgerEntry.objects.calls().count()
    book(attempts=[Attempt(**(known | changes))], booking=Booking(trace_id="t", kind="ask"), first=number)


def today() -> str:
    return str(datetime.now(UTC).date())


def test_a_day_that_was_booked_as_it_was_billed_is_right(sandbox_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    called(sandbox_url)
    called(sandbox_url, model=HAIKU)

    call_command("costs", "reconcile", "--day", today(), "--tolerance", "0")

    lines = capsys.readouterr().out.splitlines()
    kinds = ("total", "input_tokens", "cache_write_1h", "cache_read", "output_tokens")
    assert [line.split(":")[0] for line in lines[:-1]] == [
        f"ok     {model} {kind}" for model in (HAIKU, SONNET) for kind in kinds
    ]
    assert lines[-1] == f"{today()}: the ledger (simulated) is what the provider reports"


def test_a_call_that_was_not_booked_is_drift(
    sandbox_url: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    called(sandbox_url)
    called(sandbox_url, model=HAIKU, book_it=False)

    with pytest.raises(CommandError, match="5 rows drift"):
        call_command("costs", "reconcile", "--day", today())

    drifting = [line for line in capsys.readouterr().out.splitlines() if line.startswith("DRIFT")]
    assert len(drifting) == 5
    assert all(HAIKU in line for line in drifting)
    assert f"the ledger of {today()} is not what the provider reports" in caplog.text


def test_a_wrong_price_is_drift_and_a_recost_mends_it(sandbox_url: str) -> None:
    wrong = corrected_price("1", effective_from=datetime(2026, 1, 1, tzinfo=UTC))
    called(sandbox_url)
    assert LedgerEntry.objects.first().price == wrong  # type: ignore[union-attr]
    with pytest.raises(CommandError, match="rows drift"):
        call_command("costs", "reconcile", "--day", today())
    right = {"cache_write_5m_usd": "3.75", "cache_write_1h_usd": "6", "cache_read_usd": "0.3", "output_usd": "15"}
    mended = corrected_price("3", effective_from=datetime(2026, 1, 2, tzinfo=UTC))
    type(mended).objects.filter(pk=mended.pk).update(**right)

    recost(since=datetime(2026, 1, 1, tzinfo=UTC), until=datetime(2100, 1, 1, tzinfo=UTC), dry_run=False)

    call_command("costs", "reconcile", "--day", today(), "--tolerance", "0")


def test_what_is_estimated_is_told_apart_and_explains_a_difference(
    sandbox_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = called(sandbox_url)
    booked(SONNET, usage, datetime.now(UTC), estimated=True, outcome="provider_timeout")

    call_command("costs", "reconcile", "--day", today())

    told = capsys.readouterr().out
    assert "1 calls are estimated: whether they were billed is not known here" in told
    assert f"estimated {usage.cache_read:,} / " in told


def test_a_small_difference_is_tolerated_if_it_is_said(sandbox_url: str) -> None:
    usage = called(sandbox_url)
    booked(SONNET, Usage(cache_read=usage.cache_read // 50), datetime.now(UTC))

    with pytest.raises(CommandError):
        call_command("costs", "reconcile", "--day", today(), "--tolerance", "1")
    call_command("costs", "reconcile", "--day", today(), "--tolerance", "3")


def test_what_has_no_price_is_told(sandbox_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    called(sandbox_url, cost_usd=None, price_id=None)

    with pytest.raises(CommandError):
        call_command("costs", "reconcile", "--day", today())

    assert "2 calls are unpriced" in capsys.readouterr().out


def test_real_money_is_not_compared_with_the_sandboxs(sandbox_url: str) -> None:
    called(sandbox_url, provider_mode="live")

    with pytest.raises(CommandError):
        call_command("costs", "reconcile", "--day", today())


def test_a_day_without_calls_is_right(sandbox_url: str) -> None:
    call_command("costs", "reconcile", "--day", "2026-01-01")


@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "status": 401}, {"kind": "malformed"}, {"kind": "empty_object"}, {"kind": "reset"}],
    ids=lambda fault: fault["kind"],
)
def test_a_report_that_cannot_be_had_is_said_to_be_so(fault: dict[str, Any], sandbox_url: str) -> None:
    order = {"endpoint": "anthropic.cost_report", "fault": fault, "times": 1}
    httpx.post(f"{sandbox_url}/_control", json=order).raise_for_status()

    with pytest.raises(ReportUnavailable):
        provider_day(base_url=f"{sandbox_url}/anthropic", admin_key="x", day=date(2026, 11, 20))


def test_a_real_provider_is_not_asked_without_an_admin_key(settings: LazySettings) -> None:
    live = {"api_key": "sk", "base_url": "https://anthropic.example", "mode": "live"}
    settings.PROVIDERS = settings.PROVIDERS | {"anthropic": live}

    with pytest.raises(CommandError, match="ANTHROPIC_ADMIN_KEY"):
        call_command("costs", "reconcile", "--day", "2026-11-20")


def test_the_documented_example_is_read_in_cents_and_without_the_snapshots_date() -> None:
    example = {
        "amount": "123.78912",
        "cost_type": "tokens",
        "currency": "USD",
        "model": "claude-sonnet-4-20250514",
        "token_type": "uncached_input_tokens",
    }

    amounts, other = amounts_of([example, example | {"cost_type": "web_search", "model": None, "token_type": None}])

    assert amounts == {("claude-sonnet-4", "input_tokens"): Decimal("1.2378912")}
    assert other == Decimal("1.2378912")
