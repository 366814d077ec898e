"""Requests a minute for each API key, or for each signed-in user."""

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from rag.models import ApiKey


class CallerThrottle(SimpleRateThrottle):
    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        if isinstance(request.auth, ApiKey):
            return f"throttle:{self.scope}:key:{request.auth.pk}"
        return f"throttle:{self.scope}:user:{request.user.pk}"


class AskThrottle(CallerThrottle):
    scope = "ask"


class ReadThrottle(CallerThrottle):
    scope = "read"
