"""OpenAI: texts in, vectors out, by the official SDK."""

import httpx2
import openai

from costs.usage import Usage
from rag.errors import ProviderError, ProviderMalformed, ProviderTimeout, ProviderUnavailable
from rag.providers.contracts import EmbedReply, EmbedRequest, Endpoint
from rag.providers.deadline_transport import bounded
from rag.providers.mapping import UNREADABLE, checked, counted, error_for_status

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
            return reply_of(answer, request)
        except (openai.OpenAIError, httpx2.RequestError) as error:
            raise translated(error) from error
        except UNREADABLE as error:
            raise ProviderMalformed(f"openai: an answer that cannot be read: {error}", provider=NAME) from error


def reply_of(answer: openai.types.CreateEmbeddingResponse, request: EmbedRequest) -> EmbedReply:
    vectors = tuple(item.embedding for item in sorted(answer.data, key=lambda item: item.index))
    return checked(EmbedReply(vectors, Usage(counted(answer.usage.total_tokens)), ""), request, NAME)


def translated(error: Exception) -> ProviderError:
    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException):
        return ProviderTimeout("openai: no answer in time", provider=NAME)
    if isinstance(error, openai.APIResponseValidationError | httpx2.DecodingError):
        return ProviderMalformed("openai: an answer that is not JSON", provider=NAME)
    if isinstance(error, openai.APIStatusError):
        status = 402 if error.code == "insufficient_quota" else error.status_code
        after = error.response.headers.get("retry-after")
        return error_for_status(provider=NAME, status=status, message=error.message, retry_after=after)
    return ProviderUnavailable(f"openai: {type(error).__name__}: {error}", provider=NAME)
