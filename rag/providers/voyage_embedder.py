"""Voyage: texts in, vectors out, by the official SDK."""

import requests
import voyageai
import voyageai.error
from voyageai.client import Client

from costs.usage import Usage
from rag.errors import ProviderError, ProviderMalformed, ProviderTimeout, ProviderUnavailable
from rag.providers import requests_over_httpx
from rag.providers.contracts import EmbedReply, EmbedRequest, Endpoint
from rag.providers.mapping import UNREADABLE, checked, counted, error_for_status

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
        except (voyageai.error.VoyageError, requests.RequestException) as error:
            raise translated(error) from error
        except requests_over_httpx.UnknownStatus as error:
            raise error_for_status(
                provider=NAME, status=error.status, message=str(error), retry_after=error.retry_after
            ) from error
        except UNREADABLE as error:
            raise ProviderMalformed(f"voyage: an answer that cannot be read: {error}", provider=NAME) from error


def translated(error: Exception) -> ProviderError:
    if isinstance(error, voyageai.error.Timeout | requests.Timeout):
        return ProviderTimeout("voyage: no answer in time", provider=NAME)
    if isinstance(error, voyageai.error.VoyageError) and error.http_status:
        after = (error.headers or {}).get("retry-after")
        if error.http_status < 300:
            return ProviderMalformed(f"voyage: {error}", provider=NAME)
        return error_for_status(provider=NAME, status=error.http_status, message=str(error), retry_after=after)
    return ProviderUnavailable(f"voyage: {type(error).__name__}: {error}", provider=NAME)
