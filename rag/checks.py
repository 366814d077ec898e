"""System checks of the question-answering service: keys, models, prices, widths, time-outs."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connection
from django.utils.module_loading import import_string

from costs.ledger import load_price_table
from costs.models import ModelPrice
from rag import clock
from rag.modules import MODULES

WIDTHS = {
    "voyage-3.5": (256, 512, 1024, 2048),
    "voyage-3.5-lite": (256, 512, 1024, 2048),
    "voyage-3-large": (256, 512, 1024, 2048),
    "voyage-4": (256, 512, 1024, 2048),
    "voyage-4-lite": (256, 512, 1024, 2048),
    "voyage-4-large": (256, 512, 1024, 2048),
}
MOST_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072}
KEEP_AT_LEAST_DAYS = 30
TIMEOUTS = (
    "REQUEST_TIMEOUT_S",
    "GENERATION_TIMEOUT_S",
    "TRANSFORM_TIMEOUT_S",
    "EMBEDDING_TIMEOUT_S",
    "RERANK_TIMEOUT_S",
    "CHROMA_TIMEOUT_S",
    "INGEST_TIMEOUT_S",
)


@register
def check_service(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    return [*sandbox(), *transport(), *dimensions(), *names(), *timeouts(), *trace_keeping()]


def sandbox() -> Iterator[CheckMessage]:
    simulated = sorted(name for name, provider in settings.PROVIDERS.items() if provider["mode"] == "simulated")
    if simulated and not settings.DEBUG and not settings.ALLOW_SANDBOX:
        hint = "Set the API keys of these providers, or ALLOW_SANDBOX=true if made-up answers are what you want."
        message = f"DEBUG is off and the sandbox stands in for {', '.join(simulated)}."
        yield Error(message, hint=hint, id="rag.E001")
    if simulated and len(simulated) < len(settings.PROVIDERS):
        hint = "Set the API keys of all four; until then every trace counts as simulated."
        message = f"Some providers are real, but the sandbox stands in for {', '.join(simulated)}."
        yield Warning(message, hint=hint, id="rag.W001")


def transport() -> Iterator[CheckMessage]:
    for name, provider in settings.PROVIDERS.items():
        if not provider["api_key"]:
            message = f"{name.upper()}_BASE_URL is set, but {name.upper()}_API_KEY is not."
            yield Error(message, hint="Set the key, or leave both empty for the sandbox.", id="rag.E007")
        address = urlsplit(provider["base_url"])
        safe = address.scheme == "https" or address.hostname in ("127.0.0.1", "localhost", "::1")
        if provider["mode"] == "live" and not safe:
            message = f"{name.upper()}_BASE_URL is not https: the API key would travel in the clear."
            yield Error(message, hint="Use an https address.", id="rag.E002")


def dimensions() -> Iterator[CheckMessage]:
    allowed = WIDTHS.get(settings.EMBEDDING_MODEL)
    if allowed and settings.EMBEDDING_DIMENSIONS not in allowed:
        message = f"{settings.EMBEDDING_MODEL} has no {settings.EMBEDDING_DIMENSIONS} dimensions."
        yield Error(message, hint=f"Set EMBEDDING_DIMENSIONS to one of {allowed}.", id="rag.E003")
    most = MOST_DIMENSIONS.get(settings.FALLBACK_EMBEDDING_MODEL)
    if most and not 1 <= settings.FALLBACK_EMBEDDING_DIMENSIONS <= most:
        message = f"{settings.FALLBACK_EMBEDDING_MODEL} has at most {most} dimensions."
        yield Error(message, hint=f"Set FALLBACK_EMBEDDING_DIMENSIONS to 1 to {most}.", id="rag.E003")


def names() -> Iterator[CheckMessage]:
    if settings.DEFAULT_MODULE not in MODULES:
        message = f"DEFAULT_MODULE is {settings.DEFAULT_MODULE!r}, which is no module."
        yield Error(message, hint=f"Set it to one of {', '.join(MODULES)}.", id="rag.E004")
    if settings.JUDGE_MODEL == settings.ANSWER_MODEL:
        hint = "Set JUDGE_MODEL to another model: one that grades its own answers flatters itself."
        yield Warning("The judge is the answering model.", hint=hint, id="rag.W002")


def timeouts() -> Iterator[CheckMessage]:
    for name in TIMEOUTS:
        if getattr(settings, name) <= 0:
            yield Error(f"{name} must be positive.", hint="It is a number of seconds.", id="rag.E005")


def trace_keeping() -> Iterator[CheckMessage]:
    if settings.TRACE_KEEP_DAYS < KEEP_AT_LEAST_DAYS:
        message = f"TRACE_KEEP_DAYS is {settings.TRACE_KEEP_DAYS}: what was asked and charged could not be looked up."
        yield Error(message, hint=f"Set it to {KEEP_AT_LEAST_DAYS} or more.", id="rag.E008")
    if not 1 <= settings.TRACE_COMPRESS_DAYS <= settings.TRACE_KEEP_DAYS:
        message = f"TRACE_COMPRESS_DAYS is {settings.TRACE_COMPRESS_DAYS}."
        yield Error(message, hint="Set it to at least 1 and at most TRACE_KEEP_DAYS.", id="rag.E009")
    try:
        known = not settings.TRACE_REDACTOR or callable(import_string(settings.TRACE_REDACTOR))
    except ImportError:
        known = False
    if not known:
        message = f"TRACE_REDACTOR is {settings.TRACE_REDACTOR!r}, which is no function."
        yield Error(message, hint="Set it to the dotted path of one, or leave it empty.", id="rag.E010")


@register(Tags.database)
def check_prices(app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **kwargs: Any) -> list[Any]:
    """Runs with `manage.py check --database default`, because the price table lies there."""
    if not databases or ModelPrice._meta.db_table not in connection.introspection.table_names():
        return []  # before the first migration
    table = load_price_table()
    chosen = {
        ("anthropic", "ANSWER_MODEL"),
        ("anthropic", "TRANSFORM_MODEL"),
        ("anthropic", "JUDGE_MODEL"),
        ("voyage", "EMBEDDING_MODEL"),
        ("openai", "FALLBACK_EMBEDDING_MODEL"),
        ("cohere", "RERANK_MODEL"),
    }
    return [
        Error(
            f"{name} is {getattr(settings, name)!r}, which has no price: what it costs would not be known.",
            hint="Add its price in the admin, or choose a model of the price table.",
            id="rag.E006",
        )
        for provider, name in sorted(chosen)
        if table.find(provider=provider, model=getattr(settings, name), at=clock.now()) is None
    ]
