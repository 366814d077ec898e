"""A connection pool for HTTP/1.1 in place of httpcore's, for a third of its CPU: without proxies, HTTP/2, retries and tracing.

As httpcore does, it sends a request on an idle connection unless the server is seen to have hung up, and does not repeat one
that dies on the way. No lock is held while anything is read, written, opened or closed.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple, Self

from rag.providers.deadline import PASSED, remaining
from rag.providers.lean_messages import Answer, message_of

READ = 65_536
ONE_SEND = 65_536
"""A head and a piece of body no longer than this leave together: one packet fewer, one wake-up fewer."""

PORTS = {b"http": 80, b"https": 443}


@dataclass(frozen=True, kw_only=True)
class Settings:
    core: ModuleType
    """httpcore or httpcore2"""
    backend: Any
    """opens connections, whose every wait obeys the deadline"""
    ssl_context: Any
    max_connections: int
    max_idle: int
    keepalive_s: float | None
    local_address: str | None
    socket_options: Iterable[Any] | None


class Origin(NamedTuple):
    scheme: bytes
    host: str
    port: int
    hostname: str
    """that the certificate must bear"""


@dataclass(slots=True)
class Response:
    """What httpx takes from a response of httpcore."""

    status: int
    headers: list[tuple[bytes, bytes]]
    stream: "Body"
    extensions: dict[str, Any]


class Connection:
    """A place in the pool for one origin. It connects when it is used, and again when the server has hung up meanwhile."""

    def __init__(self, origin: Origin, settings: Settings) -> None:
        self.origin = origin
        self.expires: float | None = None
        self._settings = settings
        self._core = settings.core
        self._stream: Any = None
        self._sent = False

    def exchange(self, method: bytes, head: bytes, body: Iterator[bytes], timeouts: dict[str, float | None]) -> Answer:
        """Send the request, and read until the head of its answer is there."""
        if self._stream is not None and self._stream.get_extra_info("is_readable"):
            self.close()
        if self._stream is None:
            self._stream = self._connected(timeouts.get("connect"))
        self._sent = False
        with suppress(self._core.WriteError):  # a server may answer and close before it has read everything
            self._send(head, body, timeouts.get("write"))
            self._sent = True
        answer = Answer(method)
        while not answer.begun:
            self.read(answer, timeouts.get("read"))
        return answer

    def read(self, answer: Answer, timeout: float | None) -> None:
        if answer.failure:
            raise self._core.RemoteProtocolError(answer.failure)
        answer.feed(self._stream.read(READ, timeout))

    def reusable(self, answer: Answer) -> bool:
        return self._sent and answer.whole and answer.keep_alive and not self._unread()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _connected(self, timeout: float | None) -> Any:
        settings, origin = self._settings, self.origin
        stream = settings.backend.connect_tcp(
            origin.host, origin.port, timeout, settings.local_address, settings.socket_options
        )
        if origin.scheme == b"http":
            return stream
        settings.ssl_context.set_alpn_protocols(["http/1.1"])
        return stream.start_tls(settings.ssl_context, origin.hostname, timeout)

    def _send(self, head: bytes, body: Iterator[bytes], timeout: float | None) -> None:
        first = next(body, b"")
        if len(first) <= ONE_SEND:
            head += first
            first = b""
        self._stream.write(head, timeout)
        if first:
            self._stream.write(first, timeout)
        for piece in body:
            self._stream.write(piece, timeout)

    def _unread(self) -> bool:
        """Whether TLS holds more than was asked for: it reads ahead, where nobody who looks at the socket sees it."""
        if self._stream.get_extra_info("ssl_object") is None:
            return False
        try:
            self._stream.read(1, 0.0)
        except self._core.ReadError as error:
            return not isinstance(error.__cause__, BlockingIOError)
        except self._core.ReadTimeout:
            pass
        return True


class Body:
    """The body of an answer, in pieces as they arrive. Closing it gives the connection back, or closes it."""

    def __init__(self, pool: "LeanPool", connection: Connection, answer: Answer, timeout: float | None) -> None:
        self._pool = pool
        self._connection = connection
        self._answer = answer
        self._timeout = timeout
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        answer = self._answer
        try:
            while answer.pieces or not answer.whole:
                if answer.pieces:
                    pieces, answer.pieces = answer.pieces, []
                    yield b"".join(pieces)
                else:
                    self._connection.read(answer, self._timeout)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._pool.give_back(self._connection, self._answer)


class LeanPool:
    """Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._core = settings.core
        self._changed = threading.Condition(threading.Lock())
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []
        """the one used last at the end"""

    def handle_request(self, request: Any) -> Response:
        timeouts = request.extensions.get("timeout", {})
        origin = self._origin(request)
        head, body = message_of(request, self._core)
        connection = self._take(origin, timeouts.get("pool"))
        try:
            answer = connection.exchange(request.method, head, body, timeouts)
        except BaseException:
            self._drop(connection)
            raise
        extensions = {"http_version": b"HTTP/" + answer.version.encode(), "reason_phrase": answer.reason}
        stream = Body(self, connection, answer, timeouts.get("read"))
        return Response(answer.status, answer.headers, stream, extensions)

    def give_back(self, connection: Connection, answer: Answer) -> None:
        try:
            reusable = connection.reusable(answer)
        except BaseException:
            self._drop(connection)
            raise
        if reusable:
            self._keep(connection)
        else:
            self._drop(connection)

    def close(self) -> None:
        """Close what is idle. A connection in use is closed once its answer is."""
        with self._changed:
            closing, self._idle = self._idle, []
            self._connections.clear()
            self._changed.notify_all()
        for connection in closing:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _origin(self, request: Any) -> Origin:
        url = request.url
        if url.scheme not in PORTS:
            raise self._core.UnsupportedProtocol(f"not a URL of http or https: {bytes(url)!r}")
        host = url.host.decode("ascii")
        return Origin(url.scheme, host, url.port or PORTS[url.scheme], request.extensions.get("sni_hostname") or host)

    def _take(self, origin: Origin, timeout: float | None) -> Connection:
        """A connection for nobody else. Raises PoolTimeout when none comes free, at the latest at the deadline."""
        left = remaining()
        allowed = min((seconds for seconds in (timeout, left) if seconds is not None), default=None)
        with self._changed:
            if not self._changed.wait_for(self._has_room, allowed):
                raise self._core.PoolTimeout(PASSED if allowed == left else "no connection came free in time")
            connection, closing = self._chosen(origin)
        for old in closing:
            old.close()
        return connection

    def _has_room(self) -> bool:
        return bool(self._idle) or len(self._connections) < self._settings.max_connections

    def _chosen(self, origin: Origin) -> tuple[Connection, list[Connection]]:
        """The idle connection to this origin that was used last, else a new one; and those to close for it."""
        now = time.monotonic()
        closing = []
        while self._idle and self._idle[0].expires is not None and self._idle[0].expires <= now:
            closing.append(self._idle.pop(0))
        chosen = next((connection for connection in reversed(self._idle) if connection.origin == origin), None)
        if chosen is not None:
            self._idle.remove(chosen)
        elif len(self._connections) - len(closing) >= self._settings.max_connections:
            closing.append(self._idle.pop(0))
        self._connections.difference_update(closing)
        if chosen is None:
            chosen = Connection(origin, self._settings)
            self._connections.add(chosen)
        return chosen, closing

    def _keep(self, connection: Connection) -> None:
        expiry = self._settings.keepalive_s
        connection.expires = None if expiry is None else time.monotonic() + expiry
        surplus: Connection | None = connection
        with self._changed:
            if connection in self._connections:  # the pool has not been closed meanwhile
                self._idle.append(connection)
                surplus = self._idle.pop(0) if len(self._idle) > self._settings.max_idle else None
                self._changed.notify()
        if surplus is not None:
            self._drop(surplus)

    def _drop(self, connection: Connection) -> None:
        with self._changed:
            self._connections.discard(connection)
            self._changed.notify()
        connection.close()
