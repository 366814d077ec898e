"""An httpx client for JSON over HTTP, without cookies, redirects, authentication flows and hooks: no API of ours uses them.

It is a `httpx.Client` to whom it is given. A plain request goes from its arguments to the transport and back; anything else it
is asked for goes the usual way.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import httpx

PLAIN = frozenset({"content", "json", "headers", "timeout"})
DEFAULT = httpx.USE_CLIENT_DEFAULT


class LeanClient(httpx.Client):
    def request(self, method: str, url: httpx.URL | str, **more: Any) -> httpx.Response:
        """Raises httpx's own exceptions."""
        asked = {name: value for name, value in more.items() if value is not None and value is not DEFAULT}
        if not self._is_plain(url, asked):
            return super().request(method, url, **more)
        request = httpx.Request(
            method.upper(),
            parsed(url),
            headers=self._headed(asked.get("headers")),
            content=asked.get("content"),
            json=asked.get("json"),
            extensions={"timeout": self._timeouts(asked.get("timeout"))},
        )
        response = self._transport.handle_request(request)
        response.request = request
        response.default_encoding = "utf-8"
        try:
            response.read()
        finally:
            response.close()
        return response

    def _is_plain(self, url: httpx.URL | str, asked: Mapping[str, Any]) -> bool:
        absolute = isinstance(url, str) and parsed(url).is_absolute_url and not parsed(url).userinfo
        return absolute and asked.keys() <= PLAIN and not self._mounts

    def _headed(self, more: Mapping[str, str] | None) -> httpx.Headers:
        headers = httpx.Headers(self.headers)
        headers.update(more)
        return headers

    def _timeouts(self, asked: Any) -> dict[str, float | None]:
        return (self.timeout if asked is None else httpx.Timeout(asked)).as_dict()


@lru_cache(maxsize=256)
def parsed(url: str) -> httpx.URL:
    """Raises httpx.InvalidURL."""
    return httpx.URL(url)
