"""Signing in, with guessing made slow: by address, by name, and by both together.

A stranger who knows a name must not lock its owner out. So a browser in which somebody has signed in before carries a signed
cookie that says so, and its attempts are counted by themselves: what strangers do to the name does not touch them.
Every attempt is counted before the password is looked at, so that many at once get no further than many one by one.
"""

import hashlib
import logging
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any, TypeAlias

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core import signing
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse

if TYPE_CHECKING:
    LoginForm: TypeAlias = AdminAuthenticationForm
else:
    from unfold.forms import AuthenticationForm as LoginForm

log = logging.getLogger(__name__)

COOKIE = "known_browser"
COOKIE_AGE_S = 180 * 86_400
SALT = "ragsite.sign_in"
local = LocMemCache("sign-in", {})
"""counts while the shared cache is away: by process, which is slower guessing still"""


@dataclass(frozen=True, slots=True)
class Limit:
    """So many attempts within so many seconds, from the first one on."""

    attempts: int
    seconds: int


BY_ADDRESS = Limit(40, 900)
BY_ADDRESS_AND_NAME = Limit(6, 900)
BY_NAME = Limit(60, 3_600)
"""by strangers from anywhere"""
BY_BROWSER = Limit(20, 900)
"""that somebody of that name has signed in with before"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """`browser`: what its cookie says, if it is of that name; empty for a stranger's."""

    address: str
    name: str
    browser: str

    def counters(self) -> Iterator[tuple[str, Limit]]:
        if self.browser:
            yield counter("browser", self.browser), BY_BROWSER
            return
        yield counter("address", self.address), BY_ADDRESS
        yield self.own, BY_ADDRESS_AND_NAME
        yield counter("name", self.name), BY_NAME

    @property
    def own(self) -> str:
        return counter("address and name", self.address, self.name)

    def begin(self) -> int:
        """Count it; the seconds that it has to wait for, 0: go on."""
        waits = [limit.seconds for key, limit in self.counters() if counted(key, limit.seconds) > limit.attempts]
        return max(waits, default=0)

    def succeeded(self) -> None:
        """Its own mistakes before are forgiven; those of others count on."""
        for key in (self.own, *((counter("browser", self.browser),) if self.browser else ())):
            cache.delete(key)
            local.delete(key)


def counter(*what: str) -> str:
    """Names are of any length and hold anything: their hash goes into the key."""
    return f"sign-in:{hashlib.sha256(chr(0).join(what).encode(errors='replace')).hexdigest()}"


def counted(key: str, seconds: int) -> int:
    """How many there are now. Adding and counting up are one step each, whichever process does them."""
    for store in (cache, local):
        if store.add(key, 1, timeout=seconds):
            return 1
        try:
            if count := store.incr(key):
                return int(count)
        except ValueError:  # it has just expired, or the store is away
            continue
    return 1


def attempt_of(request: HttpRequest, name: str) -> Attempt:
    name = name.casefold()
    return Attempt(network_of(request.META.get("REMOTE_ADDR", "")), name, browser_of(request, name))


def network_of(address: str) -> str:
    """An IPv6 client has 2 to the power of 64 addresses: they count as one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else address


def browser_of(request: HttpRequest, name: str) -> str:
    try:
        known = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=COOKIE_AGE_S)
    except signing.BadSignature:
        return ""
    return str(known["browser"]) if known.get("name") == name else ""


class SignInForm(LoginForm):
    """The admin's, with every attempt counted."""

    waits_s = 0

    def clean(self) -> dict[str, Any]:
        assert self.request is not None  # noqa: S101 - for the type: the page gives it
        if not {"username", "password"} <= self.cleaned_data.keys():
            return super().clean()  # there is nothing to try
        attempt = attempt_of(self.request, self.cleaned_data["username"])
        address = {"address": attempt.address}
        self.waits_s = attempt.begin()
        if self.waits_s:
            log.warning("sign-in not looked at: too many attempts", extra=address)
            raise forms.ValidationError(
                f"Too many attempts. Try again in {self.waits_s // 60} minutes.", code="throttled"
            )
        try:
            cleaned = super().clean()
        except forms.ValidationError:
            log.warning("sign-in refused", extra=address)
            raise
        attempt.succeeded()
        log.info("signed in", extra=address | {"user": attempt.name})
        return cleaned


def page(request: HttpRequest) -> HttpResponseBase:
    """The admin's sign-in page: 429 with the time to wait when there were too many attempts."""
    response = admin.site.login(request)
    form = (getattr(response, "context_data", None) or {}).get("form")
    if isinstance(form, SignInForm) and form.waits_s:
        response.status_code = 429
        response.headers["Retry-After"] = str(form.waits_s)
    if request.method == "POST" and response.status_code == 302 and request.user.is_authenticated:
        remember(request, response)
    return response


def remember(request: HttpRequest, response: HttpResponseBase) -> None:
    name = request.user.get_username().casefold()
    browser = browser_of(request, name) or secrets.token_hex(16)
    response.set_cookie(
        COOKIE,
        signing.dumps({"name": name, "browser": browser}, salt=SALT),
        max_age=COOKIE_AGE_S,
        path=reverse("admin:login"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )
