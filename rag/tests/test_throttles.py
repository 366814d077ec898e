"""So many requests in a window, counted once each, whoever comes at the same instant."""

import threading
import time
from typing import Any, cast

import pytest
from django.conf import LazySettings
from django.conf import settings as django_settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory
from rest_framework.throttling import SimpleRateThrottle

from rag.api.throttles import AskThrottle, caller_of
from rag.models import ApiKey
from rag.tests.test_redis_away import NOWHERE

NOW = 1_800_000_030.5
"""half a minute and half a second into a minute"""


@pytest.fixture
def request_of_a_key(monkeypatch: pytest.MonkeyPatch) -> Request:
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", {"ask": "3/min"})
    monkeypatch.setattr(time, "time", lambda: NOW)
    request = Request(APIRequestFactory().post("/api/ask"))
    request._auth, request._user = ApiKey(pk=7), cast(Any, None)  # type: ignore[attr-defined]
    cache.delete(f"throttle:ask:{caller_of(request)}:{int(NOW // 60)}")
    return request


def allowed(request: Request) -> bool:
    return AskThrottle().allow_request(request, cast(Any, None))


def test_so_many_pass_and_the_wait_is_until_the_next_window(request_of_a_key: Request) -> None:
    assert [allowed(request_of_a_key) for _ in range(5)] == [True] * 3 + [False] * 2

    throttle = AskThrottle()
    assert not throttle.allow_request(request_of_a_key, cast(Any, None))
    assert throttle.wait() == pytest.approx(29.5)


def test_the_next_window_begins_anew(request_of_a_key: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    while allowed(request_of_a_key):
        pass
    monkeypatch.setattr(time, "time", lambda: NOW + 29.5)

    assert allowed(request_of_a_key)


def test_what_was_refused_does_not_count(request_of_a_key: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [allowed(request_of_a_key) for _ in range(50)].count(True) == 3
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", {"ask": "4/min"})

    assert [allowed(request_of_a_key) for _ in range(2)] == [True, False]


@pytest.mark.skipif(not django_settings.REDIS_URL, reason="counting at the same instant is Redis's; needs REDIS_URL")
def test_those_who_come_at_the_same_instant_are_all_counted(request_of_a_key: Request) -> None:
    passed: list[bool] = []
    start = threading.Barrier(12)

    def come() -> None:
        start.wait()
        passed.append(allowed(request_of_a_key))

    threads = [threading.Thread(target=come) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert passed.count(True) == 3


def test_a_cache_that_is_away_refuses_nobody(request_of_a_key: Request, settings: LazySettings) -> None:
    settings.CACHES = NOWHERE

    assert all(allowed(request_of_a_key) for _ in range(5))


def test_no_rate_is_no_limit(request_of_a_key: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", {"ask": None})

    assert all(allowed(request_of_a_key) for _ in range(9))
