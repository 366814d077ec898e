"""One client per process and endpoint. The SDKs are imported here, on first use: together they cost seconds and memory.

Clients must not cross a fork (crossed responses were measured), so they are keyed by the process id.
"""

import os
from functools import lru_cache

from rag.providers.contracts import ChatModel, Embedder, Endpoint, Reranker, TokenCounter


def chat_model(endpoint: Endpoint) -> ChatModel:
    return _chat_model(os.getpid(), endpoint)


def token_counter(endpoint: Endpoint) -> TokenCounter:
    return _token_counter(os.getpid(), endpoint)


def embedder(endpoint: Endpoint) -> Embedder:
    return _embedder(os.getpid(), endpoint)


def reranker(endpoint: Endpoint) -> Reranker:
    return _reranker(os.getpid(), endpoint)


@lru_cache(maxsize=16)
def _chat_model(pid: int, endpoint: Endpoint) -> ChatModel:
    from rag.providers.anthropic_chat import AnthropicChat

    return AnthropicChat(endpoint)


@lru_cache(maxsize=16)
def _token_counter(pid: int, endpoint: Endpoint) -> TokenCounter:
    from rag.providers.anthropic_tokens import AnthropicTokens

    return AnthropicTokens(endpoint)


@lru_cache(maxsize=16)
def _embedder(pid: int, endpoint: Endpoint) -> Embedder:
    if endpoint.vendor == "voyage":
        from rag.providers.voyage_embedder import VoyageEmbedder

        return VoyageEmbedder(endpoint)
    from rag.providers.openai_embedder import OpenAIEmbedder

    return OpenAIEmbedder(endpoint)


@lru_cache(maxsize=16)
def _reranker(pid: int, endpoint: Endpoint) -> Reranker:
    from rag.providers.cohere_reranker import CohereReranker

    return CohereReranker(endpoint)
