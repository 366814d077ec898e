"""Doubles that come in by the front door: providers that follow a script, and indexes and passages kept in memory.

Each keeps its requests in `history`, and notes its name in `calls`, a list that several may share to tell who came first.
Below them, servers that misbehave on purpose: one that can be taken away, one that never answers, one that talks nonsense.
"""

import socket
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Generic, TypeVar

from costs.usage import Usage
from rag.errors import ProviderError
from rag.providers.contracts import ChatReply, ChatRequest, EmbedReply, EmbedRequest, RerankReply, RerankRequest
from rag.values import Hit, Passage

RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")
USAGE = Usage(input_tokens=100, output_tokens=10)


class Scripted(Generic[RequestT, ReplyT]):
    """Gives back what was enqueued, in order; an error is raised. Asked for more than its script holds, it fails the test."""

    name = "scripted"

    def __init__(self, calls: list[str] | None = None) -> None:
        self.history: list[RequestT] = []
        self._calls = calls if calls is not None else []
        self._script: deque[ReplyT | ProviderError] = deque()

    def enqueue(self, *steps: ReplyT | ProviderError) -> None:
        self._script.extend(steps)

    def send(self, request: RequestT) -> ReplyT:
        self.history.append(request)
        self._calls.append(self.name)
        step = self._script.popleft() if self._script else self.unscripted(request)
        if isinstance(step, ProviderError):
            raise step
        return step

    def unscripted(self, request: RequestT) -> ReplyT:
        raise AssertionError(f"{self.name} was asked for more than its script holds: {request}")


class ScriptedChat(Scripted[ChatRequest, ChatReply]):
    name = "chat"


class ScriptedEmbedder(Scripted[EmbedRequest, EmbedReply]):
    """Without a script: the i-th text gets the vector (i, 0, 0, ...)."""

    name = "embed"

    def unscripted(self, request: EmbedRequest) -> EmbedReply:
        zeros = (0.0,) * (request.dimensions - 1)
        vectors = tuple((float(number), *zeros) for number in range(len(request.texts)))
        return EmbedReply(vectors, Usage(input_tokens=len(request.texts)), "req_embed")


class ScriptedReranker(Scripted[RerankRequest, RerankReply]):
    name = "rerank"


class FakeDense:
    """The i-th vector of a search gets the i-th ranking, cut to the limit."""

    def __init__(self, *rankings: Sequence[Hit], calls: list[str] | None = None) -> None:
        self.history: list[tuple[Sequence[Sequence[float]], int]] = []
        self._rankings = rankings
        self._calls = calls if calls is not None else []

    def search(self, *, vectors: Sequence[Sequence[float]], limit: int) -> tuple[tuple[Hit, ...], ...]:
        self.history.append((vectors, limit))
        self._calls.append("dense")
        return tuple(tuple(self._rankings[number][:limit]) for number in range(len(vectors)))


class FakeLexical:
    """Rankings by query, cut to the limit; a query that it does not know finds nothing."""

    def __init__(self, rankings: Mapping[str, Sequence[Hit]], calls: list[str] | None = None) -> None:
        self.history: list[tuple[str, int]] = []
        self._rankings = rankings
        self._calls = calls if calls is not None else []

    def search(self, *, query: str, limit: int) -> tuple[Hit, ...]:
        self.history.append((query, limit))
        self._calls.append("lexical")
        return tuple(self._rankings.get(query, ())[:limit])


class FakePassages:
    """The passages that are live."""

    def __init__(self, *passages: Passage) -> None:
        self.history: list[tuple[str, ...]] = []
        self._live = {passage.key: passage for passage in passages}

    def load(self, keys: Sequence[str]) -> dict[str, Passage]:
        self.history.append(tuple(keys))
        return {key: self._live[key] for key in keys if key in self._live}


def said(text: str, *, usage: Usage = USAGE, stop_reason: str = "end_turn") -> ChatReply:
    return ChatReply(text, stop_reason, "claude-test", usage, "req_chat")


def ordered(*ranking: tuple[int, float]) -> RerankReply:
    """A rerank of (index, relevance) pairs, best first."""
    return RerankReply(ranking, Usage(search_units=1), "req_rerank")


def hits(*keys: str) -> tuple[Hit, ...]:
    """A ranking of those keys with falling scores from 1."""
    return tuple(Hit(key, 1.0 / rank) for rank, key in enumerate(keys, 1))


def passage(key: str, text: str = "Leave lapses on 31 March.", heading: str = "Leave > Carrying over") -> Passage:
    source = key.partition("/")[0]
    return Passage(key, "A page", heading, text, None, 0, len(text), source)


class Relay:
    """A port that passes connections on to the server while `open`, and hangs up on them while it is not."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self._listener: socket.socket | None = None
        self._sockets: list[socket.socket] = []
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for each in self._sockets:
            with each:
                self._shut(each)
        self._sockets.clear()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            self._sockets += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                target.sendall(data)
        except OSError:
            pass
        self._shut(target)

    @staticmethod
    def _shut(each: socket.socket) -> None:
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


@contextmanager
def silent_server(first_answers: bytes = b"") -> Iterator[str]:
    """A server that accepts; to each connection's first request it sends the bytes, if any, and then never a byte more."""
    kept: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            kept.append(client)
            if first_answers and client.recv(65_536).startswith(b"GET /api/v2/heartbeat"):
                client.sendall(first_answers)

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    for client in kept:
        client.close()


@dataclass
class Nonsense:
    """A server that answers every request with what it was told to."""

    url: str = ""
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})

    def says(self, body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.body = status, body
        self.headers = {"Content-Type": "application/json", **(headers or {})}


@contextmanager
def talking(nonsense: Nonsense) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(nonsense.status)
            for name, value in nonsense.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(nonsense.body)))
            self.end_headers()
            self.wfile.write(nonsense.body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    nonsense.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield
    server.shutdown()
    server.server_close()
