"""Cohere: a query and documents in, an order with relevance scores out, by the official SDK."""

import math

import cohere
import cohere.core
import httpx

from costs.usage import Usage
from rag.errors import ProviderError, ProviderMalformed, ProviderTimeout, ProviderUnavailable
from rag.providers.contracts import Endpoint, RerankReply, RerankRequest
from rag.providers.deadline_transport import bounded
from rag.providers.mapping import UNREADABLE, counted, error_for_status

NAME = "cohere"


class CohereReranker:
    def __init__(self, endpoint: Endpoint) -> None:
        self._client = cohere.ClientV2(
            api_key=endpoint.api_key,
            base_url=endpoint.base_url,
            timeout=endpoint.timeout_s,
            httpx_client=bounded(
                httpx.Client(timeout=httpx.Timeout(endpoint.timeout_s, connect=min(3.0, endpoint.timeout_s)))
            ),
        )

    def send(self, request: RerankRequest) -> RerankReply:
        try:
            answer = self._client.rerank(
                model=request.model,
                query=request.query,
                documents=list(request.documents),
                top_n=request.top_n,
                request_options={"max_retries": 0},
            )
            return reply_of(answer, request)
        except (cohere.core.ApiError, httpx.RequestError) as error:
            raise translated(error) from error
        except UNREADABLE as error:
            raise ProviderMalformed(f"cohere: an answer that cannot be read: {error}", provider=NAME) from error


def reply_of(answer: cohere.V2RerankResponse, request: RerankRequest) -> RerankReply:
    usage = usage_of(answer)
    ranking = tuple((counted(item.index), float(item.relevance_score)) for item in answer.results or ())
    indexes = {index for index, _ in ranking}
    wanted = min(request.top_n, len(request.documents))
    if not (len(ranking) == len(indexes) == wanted and indexes <= set(range(len(request.documents)))):
        raise ProviderMalformed("cohere: other results than were asked for", provider=NAME, usage=usage)
    return RerankReply(ranking, usage, answer.id or "")


def usage_of(answer: cohere.V2RerankResponse) -> Usage:
    """Search units, and tokens for the models that are billed by token."""
    units = answer.meta.billed_units if answer.meta else None
    if units is None:
        return Usage()
    return Usage(input_tokens=int(units.input_tokens or 0), search_units=math.ceil(units.search_units or 0))


def translated(error: Exception) -> ProviderError:
    if isinstance(error, httpx.DecodingError):
        return ProviderMalformed("cohere: an answer in a broken encoding", provider=NAME)
    if isinstance(error, httpx.TimeoutException):
        return ProviderTimeout("cohere: no answer in time", provider=NAME)
    if isinstance(error, cohere.core.ApiError):
        if error.status_code is not None and error.status_code < 300:
            return ProviderMalformed("cohere: an answer that is not JSON", provider=NAME)
        after = (error.headers or {}).get("retry-after")
        message = f"status {error.status_code}"
        return error_for_status(provider=NAME, status=error.status_code, message=message, retry_after=after)
    return ProviderUnavailable(f"cohere: {type(error).__name__}: {error}", provider=NAME)
