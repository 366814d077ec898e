"""The httpx2 client for the Anthropic SDK, without cookies, redirects, authentication flows and hooks: none of them is used.

What is asked for beyond that goes the usual way.
"""

from typing import Any

import anthropic
import httpx2

DEFAULT = httpx2.USE_CLIENT_DEFAULT
PLAIN = frozenset({"headers", "timeout", "content"})


class LeanHttpxClient(anthropic.DefaultHttpxClient):
    def build_request(self, method: str, url: httpx2.URL | str, **more: Any) -> httpx2.Request:
        asked = {name: value for name, value in more.items() if value is not None}
        if not (isinstance(url, httpx2.URL) and url.is_absolute_url and asked.keys() <= PLAIN):
            return super().build_request(method, url, **more)
        headers = httpx2.Headers(self.headers)
        headers.update(asked.get("headers"))
        timeout = self.timeout if asked.get("timeout", DEFAULT) is DEFAULT else httpx2.Timeout(asked["timeout"])
        extensions = {"timeout": timeout.as_dict()}
        return httpx2.Request(method.upper(), url, headers=headers, content=asked.get("content"), extensions=extensions)

    def send(self, request: httpx2.Request, *, stream: bool = False, **more: Any) -> httpx2.Response:
        """Raises httpx2's own exceptions. A redirect is an answer like any other."""
        if more or self.is_closed:
            return super().send(request, stream=stream, **more)
        response = self._transport_for_url(request.url).handle_request(request)
        response.request = request
        response.default_encoding = "utf-8"
        if not stream:
            try:
                response.read()
            except BaseException:
                response.close()
                raise
        return response
