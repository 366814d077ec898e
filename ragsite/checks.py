"""System checks of the deployment: combinations of settings that cannot work, each with an id and what to do."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured


@register
def check_settings(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    return [*secret_key(), *hosts(), *processes()]


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
