"""The ids of rows and the names of collections begin anew in every test, so what the process remembers of them must go.

So must what it believes of the providers: one test's failures would open the breaker of the next.
"""

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from prompts.models import Prompt, PromptVersion
from rag import provider_stack, wiring


@pytest.fixture(autouse=True)
def forgetful_process() -> None:
    for remembered in (wiring.cached_prompts, wiring.cached_prices, wiring.serving_for, wiring._lexical_index):
        remembered.cache_clear()
    provider_stack.forget_breakers()
    for store in (wiring.vector_store(), wiring.build_store()):
        store._collections.clear()


@pytest.fixture
def impatient(settings: LazySettings) -> None:
    """Short time-outs, so that a test of what hangs does not."""
    provider_stack.warm_up()
    for part in ("EMBEDDING", "RERANK", "TRANSFORM", "GENERATION"):
        setattr(settings, f"{part}_TIMEOUT_S", 1.0)
    settings.CHROMA_TIMEOUT_S = 0.4


@pytest.fixture
def short_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that answer streamed questions outlive the test: their connections to its database must not."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)


@pytest.fixture
def staff_page(client: Client, alice: User) -> Client:
    """A browser in which alice is signed in."""
    client.force_login(alice)
    return client


@pytest.fixture
def answer(db: None) -> Prompt:
    """The prompt that answers."""
    return Prompt.objects.get(name="answer")


@pytest.fixture
def first(answer: Prompt) -> PromptVersion:
    """Its shipped version."""
    return answer.versions.get(number=1)
