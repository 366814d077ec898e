"""The paid providers as a question meets them: measured, behind a breaker, tried again, and bounded in time."""

import os
import time
from dataclasses import replace
from functools import lru_cache

from django.conf import settings

from rag.embedding import EmbedderSpec
from rag.modules import Module
from rag.providers import factory
from rag.providers.breaker import Breaker, BreakerPolicy, Guarded, Snapshot
from rag.providers.contracts import ChatModel, Embedder, Endpoint, Provider, ReplyT, RequestT, Reranker, TokenCounter
from rag.providers.deadlined import Deadlined, no_time_for
from rag.providers.metered import Label, Meter, Metered
from rag.providers.retry import Retrying, RetryPolicy

POLICY = RetryPolicy()


def chat(meter: Meter, operation: str, seconds: float) -> ChatModel:
    return bounded(chat_model(seconds), meter, "anthropic", operation, seconds=seconds)


def token_counter(seconds: float) -> TokenCounter:
    """Not metered, because counting is free; not behind the breaker, because answers do not depend on it; asked once."""
    counter = factory.token_counter(endpoint("anthropic", seconds))
    return Deadlined(counter, seconds=seconds, provider="anthropic")


def embedder_for_questions(spec: EmbedderSpec, meter: Meter) -> Embedder:
    seconds = settings.EMBEDDING_TIMEOUT_S
    return bounded(factory.embedder(spec.endpoint), meter, spec.provider, "embed", seconds=seconds)


def reranker(meter: Meter) -> Reranker:
    seconds = settings.RERANK_TIMEOUT_S
    return bounded(factory.reranker(endpoint("cohere", seconds)), meter, "cohere", "rerank", seconds=seconds)


def bounded(
    provider: Provider[RequestT, ReplyT], meter: Meter, vendor: str, operation: str, *, seconds: float
) -> Provider[RequestT, ReplyT]:
    """A provider for a question: measured, behind its breaker, tried again, and all of that within so many seconds."""
    label = Label(provider=vendor, operation=operation, mode=settings.PROVIDERS[vendor]["mode"])
    guarded = Guarded(Metered(provider, meter=meter, label=label), breaker=breaker(vendor), provider=vendor)
    retrying = Retrying(guarded, policy=POLICY, sleep=time.sleep, hopeless=no_time_for)
    return Deadlined(retrying, seconds=seconds, provider=vendor)


def metered(
    provider: Provider[RequestT, ReplyT], meter: Meter, vendor: str, operation: str, *, policy: RetryPolicy = POLICY
) -> Provider[RequestT, ReplyT]:
    """The provider with every attempt measured, and transient failures tried again."""
    label = Label(provider=vendor, operation=operation, mode=settings.PROVIDERS[vendor]["mode"])
    return Retrying(Metered(provider, meter=meter, label=label), policy=policy, sleep=time.sleep)


def breaker(vendor: str) -> Breaker:
    """This process's breaker for a provider."""
    return _breaker(os.getpid(), vendor)


@lru_cache(maxsize=16)
def _breaker(pid: int, vendor: str) -> Breaker:
    return Breaker(BreakerPolicy(), now=time.monotonic)


def forget_breakers() -> None:
    """Believe the best of every provider again."""
    _breaker.cache_clear()


def breaker_states() -> dict[str, Snapshot]:
    """What this process believes of each provider."""
    return {vendor: breaker(vendor).snapshot() for vendor in settings.PROVIDERS}


def endpoint(vendor: str, timeout_s: float) -> Endpoint:
    known = settings.PROVIDERS[vendor]
    return Endpoint(vendor, known["base_url"], known["api_key"], known["mode"], timeout_s)


def chat_model(timeout_s: float) -> ChatModel:
    return factory.chat_model(endpoint("anthropic", timeout_s))


def query_embedder() -> EmbedderSpec:
    known = endpoint("voyage", settings.EMBEDDING_TIMEOUT_S)
    return EmbedderSpec(known, settings.EMBEDDING_MODEL, settings.EMBEDDING_DIMENSIONS)


def ingest_embedders() -> tuple[EmbedderSpec, ...]:
    """Both spaces that every version is indexed in: the first serves, the second is the fallback's."""
    first = replace(query_embedder(), endpoint=endpoint("voyage", settings.INGEST_TIMEOUT_S))
    return first, fallback_embedder(settings.INGEST_TIMEOUT_S)


def fallback_embedder(timeout_s: float) -> EmbedderSpec:
    known = endpoint("openai", timeout_s)
    return EmbedderSpec(known, settings.FALLBACK_EMBEDDING_MODEL, settings.FALLBACK_EMBEDDING_DIMENSIONS)


def provider_mode(module: Module) -> str:
    """`live` when every provider that the module asks is real; otherwise what comes out counts as simulated."""
    asked = ("anthropic", "voyage", *(("cohere",) if module.rerank else ()))
    modes = {settings.PROVIDERS[name]["mode"] for name in asked}
    return "live" if modes == {"live"} else "simulated"


def warm_up() -> None:
    """Import the SDKs and make their clients, so that no user waits for it. A question has the fallback's ready as well."""
    chat_model(settings.GENERATION_TIMEOUT_S)
    chat_model(settings.TRANSFORM_TIMEOUT_S)
    factory.embedder(query_embedder().endpoint)
    factory.embedder(fallback_embedder(settings.EMBEDDING_TIMEOUT_S).endpoint)
    factory.reranker(endpoint("cohere", settings.RERANK_TIMEOUT_S))
