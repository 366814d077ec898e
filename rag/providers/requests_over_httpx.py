"""A `requests` session that sends through an httpx client, for an SDK that is built on requests.

One place then keeps the deadlines of all providers. The certificates stay those of certifi, and proxies those of the
environment; REQUESTS_CA_BUNDLE gives way to SSL_CERT_FILE. All sessions share one pool of connections for each process.
"""

import io
import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import httpx
import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from rag.providers.deadline_transport import bounded

CONNECT_S = 3.0
KNOWN = frozenset({500, 502, 503, 504})


class UnknownStatus(Exception):
    """A server error that the SDK does not know, and would take for success. It passes through the SDK untouched."""

    def __init__(self, status: int, retry_after: str | None) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.retry_after = retry_after


def session() -> requests.Session:
    made = requests.Session()
    for scheme in ("https://", "http://"):
        made.mount(scheme, HttpxAdapter())
    return made


@lru_cache(maxsize=1)
def _client(pid: int) -> httpx.Client:
    """Connections must not cross a fork, so the client is keyed by the process."""
    return bounded(httpx.Client())


class HttpxAdapter(BaseAdapter):
    """Reads the whole answer before it returns; a time-out is one number, for each read."""

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        try:
            answer = _client(os.getpid()).send(translated(request, timeout))
        except httpx.TimeoutException as error:
            raise requests.ReadTimeout(error, request=request) from error
        except httpx.RequestError as error:
            raise requests.ConnectionError(error, request=request) from error
        if answer.status_code >= 500 and answer.status_code not in KNOWN:
            raise UnknownStatus(answer.status_code, answer.headers.get("retry-after"))
        return response(answer, request)

    def close(self) -> None:
        """Nothing: the connections belong to the process, not to the session."""


def translated(request: requests.PreparedRequest, timeout: float | None) -> httpx.Request:
    headers = dict(request.headers)
    headers.pop("Accept-Encoding", None)  # httpx names what it can decode
    return _client(os.getpid()).build_request(
        request.method or "GET",
        request.url or "",
        headers=headers,
        content=request.body,
        timeout=httpx.Timeout(timeout, connect=CONNECT_S if timeout is None else min(CONNECT_S, timeout)),
    )


def response(answer: httpx.Response, request: requests.PreparedRequest) -> requests.Response:
    made = requests.Response()
    made.status_code = answer.status_code
    made.reason = answer.reason_phrase
    made.headers = CaseInsensitiveDict(answer.headers)
    made.encoding = get_encoding_from_headers(made.headers)
    made.raw = io.BytesIO(answer.content)
    made.url = str(answer.url)
    made.request = request
    return made
