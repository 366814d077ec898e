"""From a vendor's HTTP status to our error tree, in one place."""

import math

from rag.errors import (
    ProviderBusy,
    ProviderError,
    ProviderMalformed,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from rag.providers.contracts import EmbedReply, EmbedRequest

UNREADABLE = (AttributeError, TypeError, ValueError, KeyError)
"""What SDKs and our own reading trip over when a body is not what was agreed; JSON and Unicode errors are ValueErrors."""
BUSY = frozenset({429, 529})
TIMEOUT = frozenset({408, 504})


def error_for_status(
    *, provider: str, status: int | None, message: str, retry_after: str | None = None
) -> ProviderError:
    """The error for an HTTP status. A 4xx that is not about speed will not go away by asking again."""
    kind = _kind(status)
    return kind(f"{provider}: {message}", provider=provider, http_status=status, retry_after_s=seconds(retry_after))


def _kind(status: int | None) -> type[ProviderError]:
    if status in BUSY:
        return ProviderBusy
    if status in TIMEOUT:
        return ProviderTimeout
    if status is None or status >= 500:
        return ProviderUnavailable
    return ProviderRefused


def counted(value: object) -> int:
    """A count that a provider gave; raises TypeError for anything but a whole number from 0 on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{value!r} is not a count")
    return value


def checked(reply: EmbedReply, request: EmbedRequest, provider: str) -> EmbedReply:
    """The reply, if every text has a vector of the right width; the one that has not was billed all the same."""
    if len(reply.vectors) != len(request.texts) or any(len(v) != request.dimensions for v in reply.vectors):
        message = f"{provider}: an answer with other vectors than were asked for"
        raise ProviderMalformed(message, provider=provider, usage=reply.usage)
    return reply


def seconds(retry_after: str | None) -> float | None:
    """A Retry-After header in seconds; None when absent or given as a date."""
    try:
        wait = float(retry_after or "nan")
    except ValueError:
        return None
    return max(0.0, wait) if math.isfinite(wait) else None
