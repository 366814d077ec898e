from collections.abc import Iterator

import httpx
import pytest
from pytest_django.fixtures import Settings

from costs.tests.paid_calls import Caller
from costs.tests.receiving import Receiver, receiving


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    """On this machine, which webhooks may reach for the length of the test."""
    settings.ALERT_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with receiving() as found:
        yield found


@pytest.fixture
def sandbox_url(sandbox: str) -> str:
    """With nothing broken and nothing on its bill."""
    for door in ("_control", "_bill"):
        httpx.delete(f"{sandbox}/{door}").raise_for_status()
    return sandbox


@pytest.fixture
def caller(sandbox_url: str) -> Caller:
    return Caller(sandbox_url)
