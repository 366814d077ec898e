"""Bytes over TCP and TLS, every wait of which is bounded by the deadline of `rag.providers.deadline`.

TLS runs on memory buffers, so that only a plain socket ever blocks, and only here. Python's own TLS sockets would not do: the
trust-store contexts of httpx2 hold a lock through a whole handshake, so one stalled server would stop every other thread that
connects. It also makes TLS inside TLS (a proxy reached over https) the same code.
"""

import select
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from rag.providers.deadline import guarded

TLS_READ = 16_384 + 256  # one record and its overhead (RFC 8446, section 5.2)
ResultT = TypeVar("ResultT")


class Wire(Protocol):
    @property
    def sock(self) -> socket.socket: ...
    @property
    def tls(self) -> ssl.SSLObject | None: ...
    def recv(self, max_bytes: int, *, timeout: float | None) -> bytes: ...
    def send(self, data: bytes, *, timeout: float | None) -> None: ...


class PlainWire:
    tls = None

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def recv(self, max_bytes: int, *, timeout: float | None) -> bytes:
        with guarded(self.sock, timeout=timeout):
            return self.sock.recv(max_bytes)

    def send(self, data: bytes, *, timeout: float | None) -> None:
        rest = memoryview(data)
        while rest:
            with guarded(self.sock, timeout=timeout):
                sent = self.sock.send(rest)
            rest = rest[sent:]


class TlsWire:
    """TLS over another wire, from the handshake on."""

    def __init__(self, below: Wire, *, context: ssl.SSLContext, hostname: str | None, timeout: float | None) -> None:
        self.sock = below.sock
        self._below = below
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        self._pump(self.tls.do_handshake, timeout)

    def recv(self, max_bytes: int, *, timeout: float | None) -> bytes:
        try:
            return self._pump(partial(self.tls.read, max_bytes), timeout)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""  # many servers close without saying so in TLS; HTTP knows by itself whether the answer is whole

    def send(self, data: bytes, *, timeout: float | None) -> None:
        rest = memoryview(data)
        while rest:
            sent = self._pump(partial(self.tls.write, rest), timeout)
            rest = rest[sent:]

    def _pump(self, step: Callable[[], ResultT], timeout: float | None) -> ResultT:
        """Do one step of TLS, carrying bytes to and from the wire below until it is done."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush(timeout)
                self._fill(timeout)
            else:
                self._flush(timeout)
                return result

    def _flush(self, timeout: float | None) -> None:
        if self._outgoing.pending:
            self._below.send(self._outgoing.read(), timeout=timeout)

    def _fill(self, timeout: float | None) -> None:
        if data := self._below.recv(TLS_READ, timeout=timeout):
            self._incoming.write(data)
        else:
            self._incoming.write_eof()


def connected(host: str, port: int, *, timeout: float | None, local_address: str | None = None) -> socket.socket:
    """A socket to the first address of `host` that answers; each may take `timeout`, all together the deadline.

    Looking up the name is the C library's and cannot be interrupted: bound it with `RES_OPTIONS=timeout:1 attempts:2`.
    """
    failure = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            if local_address is not None:
                sock.bind((local_address, 0))
            with guarded(sock, timeout=timeout):
                sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def readable(sock: socket.socket) -> bool:
    """Whether a read would return at once: on an idle connection it means that the server has hung up."""
    if sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
