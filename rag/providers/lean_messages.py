"""HTTP/1.1 on the wire: requests of httpcore as bytes, and answers out of bytes by llhttp (in C, through httptools).

`core` is httpcore or httpcore2, whose exceptions are raised. Where h11 is lenient llhttp is strict, and an answer is refused:
lines that end in a bare LF, folded headers, control characters in a header, a length given twice or next to chunks.
"""

import string
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

INCOMPLETE_LIMIT = 100 * 1024
"""Bytes of an answer that may be waiting to make sense: a head, a line of chunk framing, trailers. As in httpcore."""

TOKEN = b"!#$%&'*+-.^_`|~" + (string.digits + string.ascii_letters).encode()
VISIBLE = bytes(range(0x21, 0x7F))
TEXT = bytes(set(range(256)) - set(b"\0\r\n\v\f"))
LENGTH, CODING = b"content-length", b"transfer-encoding"
NO_BODY = frozenset({204, 304})


def framing_of(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes] | None:
    """The one header that says where a body ends, in lower case. Raises ValueError for several, and for an unknown one."""
    framing = [(lowered, value.lower()) for name, value in headers if (lowered := name.lower()) in (LENGTH, CODING)]
    if not framing:
        return None
    if len(framing) > 1 or not (framing[0][1].isdigit() if framing[0][0] == LENGTH else framing[0][1] == b"chunked"):
        raise ValueError(f"unclear where the body ends: {framing}")
    return framing[0]


def message_of(request: Any, core: ModuleType) -> tuple[bytes, Iterator[bytes]]:
    """Head and body of a request. Raises LocalProtocolError for characters that would end a line, and for unclear framing."""
    method, target, headers = request.method, request.url.target, request.headers
    names, values = [name for name, _ in headers], b"".join([value for _, value in headers])
    if not (method and target and all(names)) or method.translate(None, TOKEN) or target.translate(None, VISIBLE):
        raise core.LocalProtocolError(f"illegal method, target or header name: {method!r} {target!r}")
    if b"".join(names).translate(None, TOKEN) or values.translate(None, TEXT):
        raise core.LocalProtocolError("illegal character in a header")
    try:
        framing = framing_of(headers)
    except ValueError as error:
        raise core.LocalProtocolError(str(error)) from error
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    head = b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, lines)
    if framing and framing[0] == CODING:
        return head, _chunked(request.stream)
    return head, _measured(request.stream, int(framing[1]) if framing else 0, core)


def _chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def _measured(pieces: Iterable[bytes], length: int, core: ModuleType) -> Iterator[bytes]:
    left = length
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise core.LocalProtocolError("Too much data for declared Content-Length")
        if piece:
            yield piece
    if left:
        raise core.LocalProtocolError("Too little data for declared Content-Length")


class Answer:
    """One answer, growing with the bytes that are fed. Informational ones (100, 103) before it are skipped.

    `failure` says why nothing can follow; what came before it still holds. `pieces` are those of the body not yet taken.
    """

    def __init__(self, method: bytes) -> None:
        self.status = 0
        self.reason = b""
        self.version = ""
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.begun = self.whole = self.keep_alive = False
        self.failure = ""
        self._bodiless = method == b"HEAD"
        self._framed = False
        self._incomplete = 0
        self._parser = HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """No data means that the server has closed the connection."""
        if data:
            self._parse(data)
        else:
            self._end()
        if self.whole or self.failure:
            del self._parser  # it holds us as we hold it

    def _parse(self, data: bytes) -> None:
        self._incomplete += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(str(error.__context__ or error))
        if self._incomplete > INCOMPLETE_LIMIT:
            self._fail("too long a head, or too much between two pieces of a body")

    def on_message_begin(self) -> None:
        if self.whole:
            raise ValueError("bytes after the end")

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.begun:  # trailers are dropped
            self.headers.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.status, self.version = self._parser.get_status_code(), self._parser.get_http_version()
        if self.status < 100 or self.status == 101 or self.version not in ("1.0", "1.1"):
            raise ValueError(f"status {self.status} of HTTP/{self.version} was not asked for")
        if self.reason.translate(None, TEXT):
            raise ValueError("illegal character in the reason")
        if self.status < 200:
            self.reason, self.headers = b"", []
            return
        self._framed = framing_of(self.headers) is not None
        self.begun = True
        self.whole = self._bodiless or self.status in NO_BODY
        self.keep_alive = self.version == "1.1" and not self._bodiless and self._parser.should_keep_alive()
        self._incomplete = 0

    def on_body(self, piece: bytes) -> None:
        if not self.whole:
            self.pieces.append(piece)
            self._incomplete = 0

    def on_message_complete(self) -> None:
        self.whole = self.begun

    def _fail(self, reason: str) -> None:
        self.keep_alive = False
        if not self.whole:
            self.failure = self.failure or reason

    def _end(self) -> None:
        self.keep_alive = False
        if not self.begun:
            self._fail("Server disconnected without sending a response.")
        elif self._framed:
            self._fail("peer closed connection without sending complete message body")
        else:
            self.whole = True
