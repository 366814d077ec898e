"""OpenAI: texts in, vectors out, by the official SDK."""

import json

import httpx2
import openai

from costs.usage import Usage
from rag.errors import ProviderError, ProviderMalformed, ProviderTimeout, ProviderUnavailable
from rag.providers.contracts import EmbedReply, EmbedRequest, Endpoint
from rag.providers.deadline_transport import bounded
from rag.providers.mapping import error_for_status

NAME = "openai"


class OpenAIEmbedder:
    def __init__(self, endpoint: Endpoint) -> None:
        self._client = openai.OpenAI(
            api_key=endpoint.api_key,
            base_url=endpoint.base_url,
            max_retries=0,
            timeout=openai.Timeout(endpoint.timeout_s, connect=min(3.0, endpoint.timeout_s)),
            http_client=bounded(openai.DefaultHttpxClient()),
        )

    def send(self, request: EmbedRequest) -> EmbedReply:
        try:
            answer = self._client.embeddings.create(
                model=request.model, input=list(request.texts), dimensions=request.dimensions
            )
        except (openai.OpenAIError, httpx2.TransportError) as error:
            raise translated(error) from error
        except (AttributeError, TypeError, ValueError) as error:  # JSON errors and empty bodies
            raise ProviderMalformed(f"openai: an answer that cannot be read: {error}", provider=NAME) from error
        return reply_of(answer, request)


def reply_of(answer: openai.types.CreateEmbeddingResponse, request: EmbedRequest) -> EmbedReply:
    vectors = tuple(item.embedding for item in sorted(answer.data, key=lambda item: item.index))
    if len(vectors) != len(request.texts) or any(len(vector) != request.dimensions for vector in vectors):
        raise ProviderMalformed("openai: an answer with other vectors than were asked for", provider=NAME)
    return EmbedReply(vectors, Usage(input_tokens=answer.usage.total_tokens), "")


def translated(error: Exception) -> ProviderError:
    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException):
        return ProviderTimeout("openai: no answer in time", provider=NAME)
    if isinstance(error, json.JSONDecodeError | openai.APIResponseValidationError):
        return ProviderMalformed("openai: an answer that is not JSON", provider=NAME)
    if isinstance(error, openai.APIStatusError):
        status = 402 if error.code == "insufficient_quota" else error.status_code
        after = error.response.headers.get("retry-after")
        return error_for_status(provider=NAME, status=status, message=error.message, retry_after=after)
    return ProviderUnavailable(f"openai: {type(error).__name__}: {error}", provider=NAME)
