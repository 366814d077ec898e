from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from rag.ingest import IngestReport

PARTS = {"database", "cache", "vectors", "corpus", "providers", "traces"}
NOWHERE = "http://127.0.0.1:9"


def unready(client: Client) -> dict[str, str]:
    """What /readyz says of the parts that are missing."""
    response = client.get("/readyz")
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["status"]) == (503, "not ready")
    return {name: state for name, state in body["parts"].items() if state != "ok"}


def test_healthz_needs_nothing_but_the_process(client: Client, settings: Settings) -> None:
    settings.CHROMA_URL = settings.SANDBOX_URL = NOWHERE

    assert client.get("/healthz").json() == {"status": "ok"}


def test_readyz_is_ready_when_every_part_is_there(client: Client, corpus: IngestReport) -> None:
    response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "parts": dict.fromkeys(PARTS, "ok"),
        "breakers": dict.fromkeys(("anthropic", "voyage", "openai", "cohere"), "closed"),
        "outages": [],
    }
    assert "no-store" in response.headers["Cache-Control"]


def test_readyz_names_a_vector_store_that_is_away(client: Client, corpus: IngestReport, settings: Settings) -> None:
    settings.CHROMA_URL = NOWHERE

    assert unready(client) == {"vectors": f"no Chroma server answers at {NOWHERE}"}


def test_readyz_names_a_sandbox_that_is_away(client: Client, corpus: IngestReport, settings: Settings) -> None:
    settings.SANDBOX_URL = NOWHERE

    assert unready(client) == {"providers": f"the sandbox does not answer at {NOWHERE}"}


def test_readyz_does_not_ask_live_providers(client: Client, corpus: IngestReport, settings: Settings) -> None:
    settings.SANDBOX_URL = NOWHERE
    settings.PROVIDERS = {name: known | {"mode": "live"} for name, known in settings.PROVIDERS.items()}

    assert client.get("/readyz").status_code == 200


def test_readyz_says_how_to_get_a_corpus(client: Client, providers: str, db: None) -> None:
    assert "manage.py ingest" in unready(client)["corpus"]


def test_readyz_names_a_trace_folder_that_cannot_be_written(
    client: Client, corpus: IngestReport, settings: Settings
) -> None:
    settings.TRACE_DIR = "/dev/null/traces"

    assert set(unready(client)) == {"traces"}


@pytest.mark.parametrize(
    "cache",
    [
        {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
        {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://127.0.0.1:9/0",
            "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 0.5, "SOCKET_TIMEOUT": 0.5, "IGNORE_EXCEPTIONS": True},
        },
    ],
    ids=["dummy", "redis away"],
)
def test_readyz_names_a_cache_that_keeps_nothing(
    cache: dict[str, Any], client: Client, corpus: IngestReport, settings: Settings
) -> None:
    settings.CACHES = {"default": cache}

    assert set(unready(client)) == {"cache"}
