"""OpenAI: texts in, vectors out, by the official SDK."""

import openai

from costs.usage import Usage
from rag.errors import ProviderError, ProviderMalformed, ProviderRefused, ProviderTimeout, ProviderUnavailable
from rag.providers.contracts import EmbedReply, EmbedRequest, Endpoint
from rag.providers.deadline_transport import bounded
from rag.providers.mapping import (
    OUT_OF_CREDIT,
    TRANSPORT,
    UNREADABLE,
    checked,
    counted,
    error_for_status,
    error_for_transport,
)

NAME = "openai"
NO_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
"""Codes that come with 429 or 400 and will not go away by waiting."""


class OpenAIEmbedder:
    def __init__(self, endpoint: Endpoint) -> None:
        self._client = openai.OpenAI(
            api_key=endpoint.api_key,
            base_url=endpoint.base_url,
            max_retries=0,
            timeout=openai.Timeout(endpoint.timeout_s, connect=min(3.0, endpoint.timeout_s)),
            http_client=bounded(openai.DefaultHttpxClient(follow_redirects=False)),
        )

    def send(self, request: EmbedRequest) -> EmbedReply:
        try:
            answer = self._client.embeddings.create(
                model=request.model, input=list(request.texts), dimensions=request.dimensions
            )
            return reply_of(answer, request)
        except (openai.OpenAIError, *TRANSPORT) as error:
            raise translated(error) from error
        except UNREADABLE as error:
            raise ProviderMalformed(f"openai: an answer that cannot be read: {error}", provider=NAME) from error


def reply_of(answer: openai.types.CreateEmbeddingResponse, request: EmbedRequest) -> EmbedReply:
    items = sorted(answer.data, key=lambda item: counted(item.index))
    usage = Usage(counted(answer.usage.total_tokens))
    if [item.index for item in items] != list(range(len(items))):
        raise ProviderMalformed("openai: vectors that do not say whose they are", provider=NAME, usage=usage)
    return checked(EmbedReply(tuple(item.embedding for item in items), usage, ""), request, NAME)


def translated(error: Exception) -> ProviderError:
    """A failed connection is the SDK's error with httpx2's as its cause; a time-out while the body is read comes as it is."""
    cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else error
    if isinstance(cause, TRANSPORT):
        return error_for_transport(provider=NAME, error=cause)
    if isinstance(error, openai.APIResponseValidationError):
        return ProviderMalformed("openai: an answer that is not what was agreed", provider=NAME)
    if isinstance(error, openai.APITimeoutError):
        return ProviderTimeout("openai: no answer in time", provider=NAME)
    if isinstance(error, openai.APIStatusError):
        status = OUT_OF_CREDIT if error.code in NO_CREDIT else error.status_code
        after = error.response.headers.get("retry-after")
        return error_for_status(provider=NAME, status=status, message=error.message, retry_after=after)
    if isinstance(error, openai.APIError):
        return ProviderUnavailable(f"openai: {type(error).__name__}: {error}", provider=NAME)
    return ProviderRefused(f"openai: {type(error).__name__}: {error}", provider=NAME)
