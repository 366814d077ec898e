"""From a vendor's HTTP status, or a failure on the way to it, to our error tree, in one place."""

import math

import httpx
import httpx2

from costs.usage import Usage
from rag.errors import (
    ProviderBusy,
    ProviderError,
    ProviderMalformed,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from rag.providers.contracts import EmbedReply, EmbedRequest

UNREADABLE = (AttributeError, TypeError, ValueError, LookupError, OverflowError, RecursionError)
"""What SDKs and our own reading trip over when a body is not what was agreed; JSON and Unicode errors are ValueErrors."""
BUSY = frozenset({429, 529})
TIMEOUT = frozenset({408, 504})
OUT_OF_CREDIT = 402
MOST = 2**31 - 1
"""The largest count that the ledger can hold; no call comes near it."""

TRANSPORT = (httpx.RequestError, httpx.InvalidURL, httpx2.RequestError, httpx2.InvalidURL)
LATE = (httpx.TimeoutException, httpx2.TimeoutException)
GARBLED = (httpx.DecodingError, httpx2.DecodingError)
NOT_A_REQUEST = (
    *(httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError),
    *(httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError),
)
"""A base URL or a key that no request can be made of."""
NOT_SENT = (
    *(httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError),
    *(httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError),
)


def error_for_status(
    *, provider: str, status: int | None, message: str, retry_after: str | None = None
) -> ProviderError:
    """The error for an HTTP status. A 4xx that is not about speed will not go away by asking again, nor will a redirect."""
    kind = _kind(status)
    return kind(f"{provider}: {message}", provider=provider, http_status=status, retry_after_s=seconds(retry_after))


def error_for_transport(*, provider: str, error: BaseException) -> ProviderError:
    """The error for a failure of httpx or httpx2. What never left this machine says that it cost nothing."""
    usage = Usage() if isinstance(error, NOT_SENT) else None
    message = f"{provider}: {type(error).__name__}: {error}"
    if isinstance(error, LATE):
        return ProviderTimeout(f"{provider}: no answer in time", provider=provider, usage=usage)
    if isinstance(error, GARBLED):
        return ProviderMalformed(message, provider=provider)
    if isinstance(error, NOT_A_REQUEST):
        return ProviderRefused(message, provider=provider)
    return ProviderUnavailable(message, provider=provider, usage=usage)


def _kind(status: int | None) -> type[ProviderError]:
    if status in BUSY:
        return ProviderBusy
    if status in TIMEOUT:
        return ProviderTimeout
    if status is None or status >= 500:
        return ProviderUnavailable
    return ProviderRefused if status >= 300 else ProviderMalformed


def counted(value: object) -> int:
    """A count that a provider gave; raises TypeError for anything but a whole number from 0 to MOST."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
        raise TypeError(f"{str(value)[:40]!r} is not a count")
    return value


def measured(value: object) -> float:
    """A number that a provider gave; raises TypeError for anything else, NaN and infinity included."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{str(value)[:40]!r} is not a number")
    return float(value)


def worded(value: object) -> str:
    """A name that a provider gave; raises TypeError for anything but text."""
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} is not text")
    return value


def checked(reply: EmbedReply, request: EmbedRequest, provider: str) -> EmbedReply:
    """The reply, if every text has a vector of the right width; the one that has not was billed all the same."""
    if len(reply.vectors) != len(request.texts) or not all(_fits(v, request.dimensions) for v in reply.vectors):
        message = f"{provider}: an answer with other vectors than were asked for"
        raise ProviderMalformed(message, provider=provider, usage=reply.usage)
    return reply


def _fits(vector: object, dimensions: int) -> bool:
    """Whether it is a list of so many finite numbers. Every vector of an ingest passes here, so no loop of Python's own."""
    if not isinstance(vector, list) or len(vector) != dimensions or not set(map(type, vector)) <= {int, float}:
        return False
    try:
        return math.isfinite(sum(vector))
    except OverflowError:  # an integer beyond all floats
        return False


def seconds(retry_after: str | None) -> float | None:
    """A Retry-After header in seconds; None when absent or given as a date."""
    try:
        wait = float(retry_after or "nan")
    except ValueError:
        return None
    return max(0.0, wait) if math.isfinite(wait) else None
