"""How often one address may look, and how many files are checked at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from ipaddress import ip_address, ip_network
from threading import BoundedSemaphore
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.throttling import SimpleRateThrottle

View = Callable[..., HttpResponse]
NETWORK_BITS = 64
"""of an IPv6 address: what one customer of a provider has"""
AT_ONCE = 2
_places = BoundedSemaphore(AT_ONCE)


class AddressThrottle(SimpleRateThrottle):
    def __init__(self, *, scope: str, rate: str) -> None:
        self.scope, self.rate = scope, rate
        super().__init__()

    def get_cache_key(self, request: Any, view: Any) -> str:
        return f"throttle:{self.scope}:{network_of(request.META.get('REMOTE_ADDR', ''))}"


def network_of(address: str) -> str:
    try:
        known = ip_address(address)
    except ValueError:
        return "unknown"
    return str(known if known.version == 4 else ip_network((known, NETWORK_BITS), strict=False))


def throttled(scope: str, setting: str) -> Callable[[View], View]:
    """For views that strangers call: 429 with Retry-After beyond the rate in `setting`."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            throttle = AddressThrottle(scope=scope, rate=getattr(settings, setting))
            if throttle.allow_request(cast(Any, request), cast(Any, None)):
                return view(request, *args, **kwargs)
            wait = int(throttle.wait() or 60) + 1
            text = f"Too many requests from your address: try again in {wait} seconds."
            headers = {"Retry-After": str(wait), "Cache-Control": "no-store"}
            return HttpResponse(text, status=429, content_type="text/plain; charset=utf-8", headers=headers)

        return wrapped

    return decorate


@contextmanager
def place() -> Iterator[bool]:
    """True while one of the few places of this process is ours."""
    taken = _places.acquire(blocking=False)
    try:
        yield taken
    finally:
        if taken:
            _places.release()
