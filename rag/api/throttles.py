"""Requests a minute for each API key, or for each signed-in user."""

import time
from contextlib import suppress

from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from rag.models import ApiKey


class CallerThrottle(SimpleRateThrottle):
    """So many requests in each window of the rate's length: one increment a request, which cannot be raced, at any rate.

    DRF's own keeps the time of every request in a list that is read and written each time; against that, twice the rate may
    come around the turn of a window.
    """

    def allow_request(self, request: Request, view: APIView) -> bool:
        limit, length = self.parse_rate(self.get_rate())
        if limit is None or length is None:
            return True
        window, passed = divmod(time.time(), length)
        self.left_s = length - passed
        key = f"throttle:{self.scope}:{caller_of(request)}:{int(window)}"
        if counted(key, timeout=length) <= limit:
            return True
        with suppress(ValueError):  # what was refused does not count; the window may be over meanwhile
            cache.decr(key)
        return False

    def wait(self) -> float:
        """Seconds until the next window."""
        return self.left_s


class AskThrottle(CallerThrottle):
    scope = "ask"


class ReadThrottle(CallerThrottle):
    scope = "read"


def caller_of(request: Request) -> str:
    return f"key:{request.auth.pk}" if isinstance(request.auth, ApiKey) else f"user:{request.user.pk}"


def counted(key: str, *, timeout: float) -> int:
    """The count with this request. A cache that is away counts nobody."""
    for _ in range(2):
        try:
            return cache.incr(key) or 0
        except ValueError:  # the first of its window
            if cache.add(key, 1, timeout=timeout):
                return 1
    return 0
