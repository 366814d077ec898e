"""The session that the Voyage SDK asks for, in the little of `requests` that it uses, over an httpx client.

One place then keeps the deadlines of all providers, and a call costs half the CPU that requests takes. Proxies and certificates
are httpx's: from the environment (SSL_CERT_FILE), otherwise certifi's. All sessions share one pool of connections in a process.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import httpx

from rag.providers.deadline_transport import bounded
from rag.providers.lean_client import LeanClient

CONNECT_S = 3.0


class NoSuccess(Exception):
    """An answer that is no success, with what it said. It passes through the SDK untouched.

    The SDK itself would take a redirect or an unknown server error for success, and lose the headers of some refusals.
    """

    def __init__(self, status: int, message: str, retry_after: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class HttpxSession:
    """Answers are httpx responses, read as a whole: the SDK takes `status_code`, `headers` and `content` from them."""

    proxies: Mapping[str, str] | None = None

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], data: Any, timeout: float, **unused: Any
    ) -> httpx.Response:
        """Raises httpx's own exceptions, which the SDK lets through; a time-out is one number, for each read."""
        limits = httpx.Timeout(timeout, connect=min(CONNECT_S, timeout))
        answer = client(os.getpid()).request(method, url, headers=headers, content=data, timeout=limits)
        if not answer.is_success:
            raise NoSuccess(answer.status_code, reason(answer), answer.headers.get("retry-after"))
        return answer

    def close(self) -> None:
        """Nothing: the connections belong to the process, not to the session."""


def reason(answer: httpx.Response) -> str:
    """The vendor's `detail`, where there is one."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, LookupError, TypeError, RecursionError):
        detail = None
    return detail if isinstance(detail, str) else f"status {answer.status_code}"


@lru_cache(maxsize=1)
def client(pid: int) -> httpx.Client:
    """Connections must not cross a fork, so the client is keyed by the process."""
    return bounded(LeanClient())
