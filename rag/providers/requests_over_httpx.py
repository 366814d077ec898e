"""The session that the Voyage SDK asks for, in the little of `requests` that it uses, over an httpx client.

One place then keeps the deadlines of all providers, and a call costs half the CPU that requests takes. Proxies and certificates
are httpx's: from the environment (SSL_CERT_FILE), otherwise certifi's. All sessions share one pool of connections in a process.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import httpx
import requests

from rag.providers.deadline_transport import bounded

CONNECT_S = 3.0
KNOWN = frozenset({500, 502, 503, 504})


class UnknownStatus(Exception):
    """A server error that the SDK does not know, and would take for success. It passes through the SDK untouched."""

    def __init__(self, status: int, retry_after: str | None) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.retry_after = retry_after


class HttpxSession:
    """Answers are httpx responses, read as a whole: the SDK takes `status_code`, `headers` and `content` from them."""

    proxies: Mapping[str, str] | None = None

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], data: Any, timeout: float, **unused: Any
    ) -> httpx.Response:
        """Raises requests' own exceptions, which the SDK translates; a time-out is one number, for each read."""
        limits = httpx.Timeout(timeout, connect=min(CONNECT_S, timeout))
        try:
            answer = client(os.getpid()).request(method, url, headers=headers, content=data, timeout=limits)
        except httpx.TimeoutException as error:
            raise requests.ReadTimeout(error) from error
        except httpx.RequestError as error:
            raise requests.ConnectionError(error) from error
        if answer.status_code >= 500 and answer.status_code not in KNOWN:
            raise UnknownStatus(answer.status_code, answer.headers.get("retry-after"))
        return answer

    def close(self) -> None:
        """Nothing: the connections belong to the process, not to the session."""


@lru_cache(maxsize=1)
def client(pid: int) -> httpx.Client:
    """Connections must not cross a fork, so the client is keyed by the process."""
    return bounded(httpx.Client())
