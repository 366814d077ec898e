"""Voyage: texts in, vectors out, by the official SDK."""

import voyageai
import voyageai.error
from voyageai.client import Client

from costs.usage import Usage
from rag.errors import ProviderError, ProviderMalformed, ProviderRefused
from rag.providers import requests_over_httpx
from rag.providers.contracts import EmbedReply, EmbedRequest, Endpoint
from rag.providers.mapping import TRANSPORT, UNREADABLE, checked, counted, error_for_status, error_for_transport

NAME = "voyage"
# The SDK's own sessions retry a failed connection twice behind our back, and keep no deadline; ours does not, and does.
voyageai.requestssession = requests_over_httpx.HttpxSession  # type: ignore[assignment]


class VoyageEmbedder:
    def __init__(self, endpoint: Endpoint) -> None:
        self._client = Client(
            api_key=endpoint.api_key, base_url=endpoint.base_url, max_retries=0, timeout=endpoint.timeout_s
        )

    def send(self, request: EmbedRequest) -> EmbedReply:
        try:
            result = self._client.embed(
                list(request.texts),
                model=request.model,
                input_type=request.purpose,
                output_dimension=request.dimensions,
            )
            return checked(EmbedReply(tuple(result.embeddings), Usage(counted(result.total_tokens)), ""), request, NAME)
        except (voyageai.error.VoyageError, requests_over_httpx.NoSuccess, *TRANSPORT) as error:
            raise translated(error) from error
        except UNREADABLE as error:
            raise ProviderMalformed(f"voyage: an answer that cannot be read: {error}", provider=NAME) from error


def translated(error: Exception) -> ProviderError:
    """The SDK itself fails only over a body that is not JSON, or before it asks: statuses and transport never reach it."""
    if isinstance(error, requests_over_httpx.NoSuccess):
        return error_for_status(provider=NAME, status=error.status, message=str(error), retry_after=error.retry_after)
    if isinstance(error, TRANSPORT):
        return error_for_transport(provider=NAME, error=error)
    if isinstance(error, voyageai.error.APIError):
        return ProviderMalformed("voyage: an answer that is not JSON", provider=NAME)
    return ProviderRefused(f"voyage: {type(error).__name__}: {error}", provider=NAME)
