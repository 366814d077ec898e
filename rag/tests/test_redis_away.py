"""Redis may be away: no cache and no throttle then, but no crash and no waiting either."""

import time

import pytest
from django.conf import LazySettings
from rest_framework.test import APIClient

from rag.ingest import IngestReport

pytestmark = pytest.mark.django_db
AWAY = {
    "BACKEND": "django_redis.cache.RedisCache",
    "LOCATION": "redis://127.0.0.1:9/0",
    "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 0.5, "SOCKET_TIMEOUT": 0.5, "IGNORE_EXCEPTIONS": True},
}
NOWHERE = {"default": AWAY, "answers": AWAY}


def test_questions_are_answered_without_redis(corpus: IngestReport, bob: APIClient, settings: LazySettings) -> None:
    body = {"question": "When are full backups run?", "corpus": "handbook"}
    bob.post("/api/ask", body, format="json")
    settings.CACHES = NOWHERE
    started = time.monotonic()

    response = bob.post("/api/ask", body, format="json")

    assert response.status_code == 200
    assert time.monotonic() - started < 2


def test_a_wrong_key_is_refused_without_redis(db: None, settings: LazySettings) -> None:
    settings.CACHES = NOWHERE
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION="Bearer rk_00000000_" + "x" * 43)

    assert client.post("/api/ask", {"question": "?"}, format="json").status_code == 401
