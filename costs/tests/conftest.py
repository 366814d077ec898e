from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from costs.tests.receiving import Receiver, receiving


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    """On this machine, which webhooks may reach for the length of the test."""
    settings.ALERT_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with receiving() as found:
        yield found
