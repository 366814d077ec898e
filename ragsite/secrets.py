"""The values that must never be shown: found among the settings, and masked where text leaves for a log, a trace or a page."""

import re
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.views.debug import SafeExceptionReporterFilter

MASK = "********"
SHORTEST = 6
"""a shorter value would mask common words, and no provider gives one out"""
SINGLE = ("SECRET_KEY", "ANTHROPIC_ADMIN_KEY", "OPENAI_ADMIN_KEY", "EMAIL_HOST_PASSWORD")
WITH_PASSWORD = ("REDIS_URL", "CELERY_BROKER_URL", "EMAIL_URL", "CHROMA_URL")
HARMLESS = frozenset({"sandbox"})


def masked(text: str) -> str:
    """The text without any secret of the settings; most texts hold none and come back as they are."""
    secret = pattern(known())
    return secret.sub(MASK, text) if secret else text


def known() -> tuple[str, ...]:
    """Every secret value of the settings as it is now, the longest first, so that none hides inside another."""
    providers = (setting("PROVIDERS") or {}).values()
    found = {provider.get("api_key", "") for provider in providers}
    found |= {value for name in SINGLE if isinstance(value := setting(name), str)}
    found |= set(setting("SECRET_KEY_FALLBACKS") or ())
    found |= {database.get("PASSWORD", "") for database in (setting("DATABASES") or {}).values()}
    for url in (*(setting(name) for name in WITH_PASSWORD), *(provider.get("base_url") for provider in providers)):
        found |= passwords(url or "")
    return tuple(sorted((each for each in found - HARMLESS if len(each or "") >= SHORTEST), key=len, reverse=True))


def setting(name: str) -> Any:
    """None where it is not set; Django refuses to give an empty SECRET_KEY."""
    try:
        return getattr(settings, name, None)
    except ImproperlyConfigured:
        return None


def passwords(url: str) -> set[str]:
    """The password of an address, as it is written there and as it is meant."""
    try:
        given = urlsplit(url).password or ""
    except ValueError:
        return set()
    return {given, unquote(given)}


@lru_cache(maxsize=4)
def pattern(values: tuple[str, ...]) -> re.Pattern[str] | None:
    return re.compile("|".join(re.escape(value) for value in values)) if values else None


class ReporterFilter(SafeExceptionReporterFilter):
    """Django's, which hides settings by their names, and addresses too: their passwords stand inside."""

    hidden_settings = re.compile(
        SafeExceptionReporterFilter.hidden_settings.pattern + r"|_URL$|DSN|^url$", re.IGNORECASE
    )
