"""Who is asking: an API key in the Authorization header, or a signed-in member of staff."""

import re
from contextlib import suppress

from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from rag import clock
from rag.models import ApiKey
from ragsite.looking_up import look_up

HEADER = re.compile(r"^(?:Bearer|Api-Key)\s+rk_([0-9a-f]{8})_([A-Za-z0-9_-]{20,80})$", re.IGNORECASE)


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer rk_...`. A wrong key is refused without saying which half of it was wrong."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiKey] | None:
        header = request.headers.get("Authorization")
        if not header:
            return None
        key = self._key(header)
        if key is None:
            guard = BadKeyThrottle()
            guard.refuse_guessing(request)
            guard.count(request)
            raise AuthenticationFailed("this API key is not valid; send it as `Authorization: Bearer rk_...`")
        refusal = key.refusal(clock.now())
        if refusal:
            raise AuthenticationFailed(refusal)
        key.note_use(clock.now())
        return AnonymousUser(), key

    def _key(self, header: str) -> ApiKey | None:
        match = HEADER.match(header)
        key = look_up(ApiKey, "prefix", match.group(1)) if match else None
        return key if key is not None and match is not None and key.matches(match.group(2)) else None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class BadKeyThrottle(SimpleRateThrottle):
    """Guessing keys is limited by address. Who has a valid key is not held up by others who guess behind the same address."""

    scope = "bad_key"

    def __init__(self) -> None:
        super().__init__()
        limit, seconds = self.parse_rate(self.get_rate())
        self.limit, self.seconds = limit or 0, seconds or 0

    def get_cache_key(self, request: Request, view: object = None) -> str:
        return f"bad-key:{self.get_ident(request)}"

    def refuse_guessing(self, request: Request) -> None:
        if self.limit and cache.get(self.get_cache_key(request), 0) >= self.limit:
            raise Throttled(wait=self.seconds, detail="too many requests with a key that is not valid")

    def count(self, request: Request) -> None:
        key = self.get_cache_key(request)
        if not cache.add(key, 1, timeout=self.seconds):
            with suppress(ValueError):  # it has just expired, or the cache is away
                cache.incr(key)


class StaffSessionAuthentication(SessionAuthentication):
    """The session of a member of staff, with CSRF protection, for the ask page and the browsable docs."""

    def authenticate(self, request: Request) -> tuple[object, None] | None:
        found = super().authenticate(request)
        return found if found is not None and found[0].is_staff else None
