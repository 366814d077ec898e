"""From a vendor's HTTP status to our error tree, in one place."""

from rag.errors import ProviderBusy, ProviderError, ProviderRefused, ProviderTimeout, ProviderUnavailable

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


def seconds(retry_after: str | None) -> float | None:
    """A Retry-After header in seconds; None when absent or given as a date."""
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None
