"""System checks of the deployment: combinations of settings that cannot work, each with an id and what to do."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured

from ragsite.proxies import NotANetwork, Trusted

HOST = re.compile(r"\*|\.?[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]", re.IGNORECASE)
SUB_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")


@register
def check_settings(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    return [*secret_key(), *hosts(), *processes(), *proxies(), *sub_path()]


def secret_key() -> Iterator[CheckMessage]:
    try:
        present = bool(settings.SECRET_KEY)
    except ImproperlyConfigured:  # Django's own refusal to give an empty key
        present = False
    if not present:
        hint = "Set SECRET_KEY to a long random text, or DEBUG=true on your own machine."
        yield Error("DEBUG is off and there is no SECRET_KEY.", hint=hint, id="ragsite.E001")


def hosts() -> Iterator[CheckMessage]:
    if not settings.DEBUG and not settings.ALLOWED_HOSTS:
        hint = "Set ALLOWED_HOSTS to the names that the site is reached by, separated by commas."
        yield Error("DEBUG is off and ALLOWED_HOSTS is empty.", hint=hint, id="ragsite.E002")
    wrong = [host for host in settings.ALLOWED_HOSTS if not HOST.fullmatch(host)]
    if wrong:
        hint = "Write names alone, without scheme, port or path: docs.example.org, or .example.org for all below it."
        yield Error(f"ALLOWED_HOSTS has entries that match no host: {', '.join(wrong)}.", hint=hint, id="ragsite.E010")


def processes() -> Iterator[CheckMessage]:
    if settings.WEB_PROCESSES > 1 and not settings.REDIS_URL:
        hint = "Set REDIS_URL, or WEB_PROCESSES=1: throttles and locks live in the cache, and every process would have its own."
        yield Error("Several web processes without Redis.", hint=hint, id="ragsite.E003")
    if settings.WEB_PROCESSES > 1 and settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        hint = "Set DATABASE_URL to a PostgreSQL database."
        yield Warning("Several web processes on SQLite wait for each other's writes.", hint=hint, id="ragsite.W001")
    if settings.WEB_PROCESSES < 1 or settings.WEB_THREADS < 1:
        hint = "Set both to 1 or more."
        yield Error("WEB_PROCESSES and WEB_THREADS must be positive.", hint=hint, id="ragsite.E004")


def proxies() -> Iterator[CheckMessage]:
    try:
        networks = Trusted(settings.TRUSTED_PROXIES).networks
    except NotANetwork as error:
        hint = "Name addresses or networks, separated by commas: 127.0.0.1,10.1.2.0/24; or unix for a Unix socket."
        yield Error(f"TRUSTED_PROXIES: {error}.", hint=hint, id="ragsite.E011")
        return
    if any(network.prefixlen == 0 for network in networks):
        hint = "Name the proxies: whoever is trusted says what the address of a client is."
        yield Error("TRUSTED_PROXIES believes everybody.", hint=hint, id="ragsite.E012")
    if settings.BEHIND_TLS and not settings.TRUSTED_PROXIES:
        hint = "Set TRUSTED_PROXIES to the addresses of the TLS proxy, or BEHIND_TLS=false where there is none."
        message = (
            "BEHIND_TLS is on and no proxy is trusted: every request counts as plain http and is redirected for ever."
        )
        yield Warning(message, hint=hint, id="ragsite.W010")


def sub_path() -> Iterator[CheckMessage]:
    path = settings.FORCE_SCRIPT_NAME
    if path and not SUB_PATH.fullmatch(path):
        hint = "Begin with a slash and end without one: /ragsite."
        yield Error(f"FORCE_SCRIPT_NAME is {path!r}.", hint=hint, id="ragsite.E013")
