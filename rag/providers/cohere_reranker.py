"""Cohere: a query and documents in, an order with relevance scores out, by the official SDK."""

import math

import cohere
import cohere.core
import httpx

from costs.usage import Usage
from rag.errors import ProviderError, ProviderMalformed
from rag.providers.contracts import Endpoint, RerankReply, RerankRequest
from rag.providers.deadline_transport import bounded
from rag.providers.lean_client import LeanClient
from rag.providers.mapping import TRANSPORT, UNREADABLE, counted, error_for_status, error_for_transport, measured

NAME = "cohere"


class CohereReranker:
    def __init__(self, endpoint: Endpoint) -> None:
        self._client = cohere.ClientV2(
            api_key=endpoint.api_key,
            base_url=endpoint.base_url,
            timeout=endpoint.timeout_s,
            httpx_client=bounded(
                LeanClient(
                    timeout=httpx.Timeout(endpoint.timeout_s, connect=min(3.0, endpoint.timeout_s)),
                    follow_redirects=False,
                )
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
        except (cohere.core.ApiError, cohere.core.ParsingError, *TRANSPORT) as error:
            raise translated(error) from error
        except UNREADABLE as error:
            raise ProviderMalformed(f"cohere: an answer that cannot be read: {error}", provider=NAME) from error


def reply_of(answer: cohere.V2RerankResponse, request: RerankRequest) -> RerankReply:
    usage = usage_of(answer)
    ranking = tuple((counted(item.index), measured(item.relevance_score)) for item in answer.results or ())
    indexes = {index for index, _ in ranking}
    wanted = min(request.top_n, len(request.documents))
    if not (len(ranking) == len(indexes) == wanted and indexes <= set(range(len(request.documents)))):
        raise ProviderMalformed("cohere: other results than were asked for", provider=NAME, usage=usage)
    return RerankReply(ranking, usage or request.estimate(), str(answer.id or ""))


def usage_of(answer: cohere.V2RerankResponse) -> Usage | None:
    """Search units, and tokens for the models that are billed by token; the SDK gives both as floats. None: not said."""
    units = answer.meta.billed_units if answer.meta else None
    if units is None:
        return None
    tokens, searches = (
        counted(math.ceil(measured(value or 0.0))) for value in (units.input_tokens, units.search_units)
    )
    return Usage(input_tokens=tokens, search_units=searches)


def translated(error: Exception) -> ProviderError:
    if isinstance(error, TRANSPORT):
        return error_for_transport(provider=NAME, error=error)
    if isinstance(error, cohere.core.ApiError):
        after = (error.headers or {}).get("retry-after")
        message = f"status {error.status_code}"
        return error_for_status(provider=NAME, status=error.status_code, message=message, retry_after=after)
    return ProviderMalformed("cohere: an answer that is not what was agreed", provider=NAME)
