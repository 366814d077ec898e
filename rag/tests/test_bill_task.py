"""What beat does every day with the bills of the providers, after real questions whose calls were broken."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest
from django.conf import settings
from django.db.models import Sum

from costs.models import Alert, LedgerEntry
from costs.tests.factories import alerts_of
from rag import clock, tasks
from rag.errors import RagError
from rag.ingest import IngestReport
from rag.tests.small_world import asked, bill, break_provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def fresh_bill(providers: str) -> None:
    httpx.delete(f"{providers}/_bill").raise_for_status()


@pytest.fixture
def next_morning() -> Iterator[None]:
    """The clock of this process, once the bill of today is complete."""
    ahead = timedelta(hours=31)
    clock.advance(ahead)
    yield
    clock.advance(-ahead)


@pytest.fixture
def broken_questions(fresh_bill: None, corpus: IngestReport, providers: str, impatient: None) -> None:
    """Calls that were billed and cut, and calls that were never billed."""
    for kind in ("truncated_body", "cut", "malformed", "hang_mid_stream", "hang"):
        break_provider(providers, "anthropic.messages", times=1, kind=kind)
        with suppress(RagError):
            asked(module="m3-hybrid", transform="simple")
    asked(module="m3-hybrid")


def in_the_ledger(provider: str) -> tuple[int, Decimal]:
    """Tokens, and USD to the last digit."""
    rows = LedgerEntry.objects.filter(provider=provider)
    kinds = ("input_tokens", "cache_write_5m", "cache_write_1h", "cache_read", "output_tokens")
    sums = rows.aggregate(**{f"{kind}_sum": Sum(kind) for kind in kinds})
    usd = sum((row.cost_usd or Decimal(0) for row in rows), Decimal(0))
    return sum(sums.values()), usd


def on_the_bill(sandbox: str, provider: str) -> tuple[int, Decimal]:
    entries = [entry for entry in bill(sandbox)["entries"] if entry["provider"] == provider]
    usd = sum((Decimal(entry["cost_usd"]) for entry in entries), Decimal(0))
    return sum(sum(entry["usage"].values()) for entry in entries), usd


def test_the_ledger_of_the_day_before_becomes_the_bill(
    broken_questions: None, providers: str, next_morning: None
) -> None:
    assert LedgerEntry.objects.estimates().filter(provider="anthropic").count() >= 5
    assert in_the_ledger("anthropic") != on_the_bill(providers, "anthropic")

    tasks.watch_bills()

    for provider in ("anthropic", "openai"):
        assert in_the_ledger(provider) == on_the_bill(providers, provider)
    assert alerts_of(Alert.Kind.DRIFT) == []


def test_a_call_behind_the_services_back_raises_an_alert(
    broken_questions: None, providers: str, next_morning: None
) -> None:
    body = {"model": "text-embedding-3-small", "input": ["Who else has the key?"]}
    httpx.post(f"{providers}/openai/v1/embeddings", json=body, headers={"x-api-key": "leaked"}).raise_for_status()

    tasks.watch_bills()

    (alert,) = alerts_of(Alert.Kind.DRIFT)
    assert alert.detail["provider"] == "openai"
    assert alert.detail["reasons"] == {"text-embedding-3-small": "no call of it is estimated"}


def test_beat_has_it_on_its_list() -> None:
    names = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}

    assert tasks.watch_bills.name in names
