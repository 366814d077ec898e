"""Anthropic's errors in our words: by status, by type and code in the body, and where these say too little by the text."""

from typing import Any

import anthropic

from rag.errors import ProviderError, ProviderMalformed, ProviderTimeout, ProviderUnavailable
from rag.providers.anthropic_usage import NAME
from rag.providers.mapping import OUT_OF_CREDIT, TRANSPORT, error_for_status, error_for_transport

FAILURES = (anthropic.AnthropicError, *TRANSPORT)
"""What the SDK raises: its own, and while a body is being read httpx2's."""
STATUS_OF = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": OUT_OF_CREDIT,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "memory_path_conflict_error": 409,
    "memory_precondition_failed_error": 412,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The status that a type stands for when it comes inside a success, as it may in a stream."""
SPENT = frozenset({"contract_spend_limit_reached", "enforced_spend_limit_reached"})
"""Codes that come with 429 and do not go away by waiting."""
NO_CREDIT = ("credit balance is too low", "api usage limits")
"""The only sign of an empty purse in some 400s."""


def translated(error: Exception) -> ProviderError:
    """A failed connection is the SDK's error with httpx2's as its cause; one while the body is read comes as it is."""
    cause = error.__cause__ if isinstance(error, anthropic.APIConnectionError) else error
    if isinstance(cause, TRANSPORT):
        return error_for_transport(provider=NAME, error=cause)
    if isinstance(error, anthropic.APITimeoutError):
        return ProviderTimeout("anthropic: no answer in time", provider=NAME)
    if isinstance(error, anthropic.APIResponseValidationError):
        return ProviderMalformed("anthropic: an answer that is not what was agreed", provider=NAME)
    if isinstance(error, anthropic.APIStatusError):
        after = error.response.headers.get("retry-after")
        return refused(error.body, status=error.status_code, message=error.message, retry_after=after)
    return ProviderUnavailable(f"anthropic: {type(error).__name__}: {error}", provider=NAME)


def refused(body: object, *, status: int, message: str, retry_after: str | None = None) -> ProviderError:
    """The error that an answer is; `body` is what it said, whatever that may be."""
    said = _part(body, "error")
    return error_for_status(
        provider=NAME, status=_meant(said, status, message), message=message, retry_after=retry_after
    )


def _meant(said: dict[str, Any], status: int, message: str) -> int:
    kind, code = said.get("type"), _part(said, "details").get("error_code")
    spent = isinstance(code, str) and code in SPENT
    if spent or kind == "billing_error" or any(sign in message.lower() for sign in NO_CREDIT):
        return OUT_OF_CREDIT
    if kind == "overloaded_error" or status < 300:
        return STATUS_OF.get(kind, status) if isinstance(kind, str) else status
    return status


def _part(body: object, name: str) -> dict[str, Any]:
    part = body.get(name) if isinstance(body, dict) else None
    return part if isinstance(part, dict) else {}
