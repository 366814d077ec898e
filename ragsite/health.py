"""`/healthz`: this process answers. `/readyz`: every part that an answer needs is there, and which is not."""

from collections.abc import Callable
from pathlib import Path

import httpx
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache

from rag import provider_stack, wiring
from rag.models import Corpus, Outage


@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when everything is there, else 503; each part says `ok` or what is wrong with it."""
    parts = {name: check() for name, check in CHECKS.items()}
    ready = all(state == "ok" for state in parts.values())
    told = {"breakers": breakers(), "outages": outages()}
    body = {"status": "ready" if ready else "not ready", "parts": parts, **told}
    return JsonResponse(body, status=200 if ready else 503)


def breakers() -> dict[str, str]:
    """What this process believes of the providers. An open breaker does not make the service unready: it degrades."""
    return {vendor: snapshot.state.value for vendor, snapshot in provider_stack.breaker_states().items()}


def outages() -> list[str] | None:
    """The providers with an open outage, whichever process met it; None when the database does not answer."""
    try:
        return list(Outage.objects.filter(ended_at=None).order_by("provider").values_list("provider", flat=True))
    except DatabaseError:
        return None


def database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return f"the database does not answer: {type(error).__name__}"
    return "ok"


def cache_store() -> str:
    cache.set("readyz", "1", timeout=5)
    return "ok" if cache.get("readyz") == "1" else "the cache does not keep values: is Redis running?"


def vector_store() -> str:
    return "ok" if wiring.vector_store().alive() else f"no Chroma server answers at {settings.CHROMA_URL}"


def corpus() -> str:
    try:
        active = Corpus.objects.exclude(active_version=None).exists()
    except DatabaseError:
        return "unknown: the database does not answer"
    return "ok" if active else "no corpus has an active version: run `manage.py ingest PATH --corpus NAME`"


def providers() -> str:
    """A live provider is not asked (that would cost); the sandbox is."""
    if all(provider["mode"] == "live" for provider in settings.PROVIDERS.values()):
        return "ok"
    try:
        found = httpx.get(f"{settings.SANDBOX_URL}/healthz", timeout=2)
    except httpx.HTTPError:
        return f"the sandbox does not answer at {settings.SANDBOX_URL}"
    return "ok" if found.is_success else f"the sandbox answers {found.status_code}"


def trace_folder() -> str:
    folder = Path(settings.TRACE_DIR)
    probe = folder / ".readyz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_text("ok")
        probe.unlink(missing_ok=True)
    except OSError as error:
        return f"the trace folder cannot be written: {error.strerror}"
    return "ok"


CHECKS: dict[str, Callable[[], str]] = {
    "database": database,
    "cache": cache_store,
    "vectors": vector_store,
    "corpus": corpus,
    "providers": providers,
    "traces": trace_folder,
}
