"""A server that answers as it is told, notes who asked with which key, and loses no time over it."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rag.errors import ProviderError
from rag.tests.test_providers import Vendor, endpoint

JSON = {"Content-Type": "application/json"}
NO_BODY = frozenset({204, 304})


@dataclass
class Telling:
    """`keys` holds the Authorization header of every request that came."""

    url: str = ""
    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)
    keys: list[str] = field(default_factory=list)
    cut: bool = False

    def says(
        self, body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None, cut: bool = False
    ) -> None:
        """From now on, and with nobody noted yet. A body that is `cut` ends before its announced length."""
        self.body = b"" if status in NO_BODY else body
        self.status, self.headers, self.cut = status, {**JSON, **(headers or {})}, cut
        self.keys.clear()

    def whole(self) -> bytes:
        """The answer as it goes over the wire."""
        headers = {**self.headers, "Content-Length": str(len(self.body) + self.cut)}
        head = f"HTTP/1.1 {self.status} Said\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return head.encode("latin-1") + b"\r\n" + self.body


@contextmanager
def telling() -> Iterator[Telling]:
    told = Telling()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told.keys.append(self.headers.get("Authorization", ""))
            self.wfile.write(told.whole())
            self.close_connection = told.cut

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield told
    server.shutdown()
    server.server_close()


def failure(vendor: Vendor, server: Telling) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        ask(vendor, server.url)
    assert caught.value.provider == vendor.name
    return caught.value


def ask(vendor: Vendor, url: str, timeout_s: float = 10.0) -> Any:
    return vendor.make(endpoint(vendor, url, timeout_s)).send(vendor.request)


def refusal(code: str | None = None, kind: str = "x", message: str = "no") -> bytes:
    """A body that is an error to all four."""
    details = {"error_code": code} if code else None
    error = {"message": message, "type": kind, "code": None, "details": details}
    return json.dumps({"type": "error", "detail": "no", "message": "no", "error": error}).encode()
