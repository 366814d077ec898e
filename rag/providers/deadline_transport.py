"""Makes httpx and httpx2 clients obey `rag.providers.deadline`.

No time-out of theirs bounds a whole call: each socket read has its own. Here their connection pools get a network backend of
ours, and where nothing more than HTTP/1.1 without a proxy is asked for, a leaner pool takes their place. TLS contexts, proxies
from the environment, pool limits, socket options and time-outs stay as they were. Two private attributes are touched
(`HTTPTransport._pool`, `ConnectionPool._network_backend`), and read are `Client._transport`, `Client._mounts` and the pool's
settings; `bounded` refuses a client that lacks them, and tests pin that they are honoured.
"""

import socket
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, ClassVar, Self, TypeVar

import httpcore
import httpcore2
import httpx
import httpx2

from rag.providers.guarded_wire import PlainWire, TlsWire, Wire, connected, readable
from rag.providers.lean_pool import LeanPool, Settings

ClientT = TypeVar("ClientT", httpx.Client, httpx2.Client)


def bounded(client: ClientT) -> ClientT:
    """The same client; every call through it ends at the deadline of its caller, with the connection closed.

    The client reports it as its usual time-out (ConnectTimeout, WriteTimeout, ReadTimeout), whose message says so.
    In a pool at its limit the wait for a free connection ends at the deadline too (PoolTimeout), though not when cancelled;
    behind a proxy it keeps to the client's own `pool` time-out instead.
    Raises TypeError for a client whose transports are not the library's own.
    """
    for transport in (client._transport, *client._mounts.values()):
        if transport is not None:
            pool = _install(transport)
            weakref.finalize(client, pool.close)  # idle connections go with their client
    return client


def _install(transport: object) -> Any:
    pool: Any = getattr(transport, "_pool", None)
    backend: _Backend
    if isinstance(pool, httpcore.ConnectionPool):
        backend = HttpcoreBackend()
    elif isinstance(pool, httpcore2.ConnectionPool):
        backend = Httpcore2Backend()
    else:
        raise TypeError(f"no connection pool of httpcore in {transport!r}: no deadline can be kept")
    if not hasattr(pool, "_network_backend"):
        raise TypeError(f"{type(pool)!r} has no network backend to replace: no deadline can be kept")
    pool.close()  # connections that were opened before would not obey
    pool._network_backend = backend
    if type(pool) is backend.core.ConnectionPool:
        pool = transport._pool = _lean(pool, backend)  # type: ignore[attr-defined]
    return pool


def _lean(pool: Any, backend: "_Backend") -> Any:
    """A leaner pool for a pool that needs no more than HTTP/1.1 over TCP, each connection tried once; else the same pool."""
    try:
        if pool._proxy or pool._uds or pool._http2 or not pool._http1 or pool._retries:
            return pool
        return LeanPool(
            Settings(
                core=backend.core,
                backend=backend,
                ssl_context=pool._ssl_context or backend.core.default_ssl_context(),
                max_connections=pool._max_connections,
                max_idle=pool._max_keepalive_connections,
                keepalive_s=pool._keepalive_expiry,
                local_address=pool._local_address,
                socket_options=pool._socket_options,
            )
        )
    except AttributeError as error:
        raise TypeError(f"{type(pool)!r} does not say how it was set up: {error}") from error


class _Stream:
    """A connection, in the words of one of the two libraries."""

    core: ClassVar[ModuleType]

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with translated(self.core.ReadTimeout, self.core.ReadError):
            return self._wire.recv(max_bytes, timeout=timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with translated(self.core.WriteTimeout, self.core.WriteError):
            self._wire.send(buffer, timeout=timeout)

    def close(self) -> None:
        self._wire.sock.close()

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> Self:
        try:
            with translated(self.core.ConnectTimeout, self.core.ConnectError):
                wire = TlsWire(self._wire, context=ssl_context, hostname=server_hostname, timeout=timeout)
        except BaseException:
            self.close()
            raise
        return type(self)(wire)

    def get_extra_info(self, info: str) -> Any:
        sock = self._wire.sock
        match info:
            case "ssl_object":
                return self._wire.tls
            case "client_addr":
                return sock.getsockname()
            case "server_addr":
                return sock.getpeername()
            case "socket":
                return sock
            case "is_readable":
                return readable(sock)
        return None


class _Backend:
    core: ClassVar[ModuleType]
    stream: ClassVar[type[_Stream]]

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Any:
        with translated(self.core.ConnectTimeout, self.core.ConnectError):
            sock = connected(host, port, timeout=timeout, local_address=local_address)
            for option in socket_options or ():
                sock.setsockopt(*option)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.stream(PlainWire(sock))


@contextmanager
def translated(slow: type[Exception], broken: type[Exception]) -> Iterator[None]:
    """The libraries have an exception for each kind of operation that is slow, and for each that breaks."""
    try:
        yield
    except TimeoutError as error:
        raise slow(str(error)) from error
    except OSError as error:
        raise broken(str(error)) from error


class HttpcoreStream(_Stream, httpcore.NetworkStream):
    core: ClassVar[ModuleType] = httpcore


class Httpcore2Stream(_Stream, httpcore2.NetworkStream):
    core: ClassVar[ModuleType] = httpcore2


class HttpcoreBackend(_Backend, httpcore.NetworkBackend):
    core: ClassVar[ModuleType] = httpcore
    stream: ClassVar[type[_Stream]] = HttpcoreStream


class Httpcore2Backend(_Backend, httpcore2.NetworkBackend):
    core: ClassVar[ModuleType] = httpcore2
    stream: ClassVar[type[_Stream]] = Httpcore2Stream
