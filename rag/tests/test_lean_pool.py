"""The pool that bounded clients use, against a server that plays prepared bytes, and against httpcore itself."""

import asyncio
import ssl
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpcore
import httpcore2
import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.providers.deadline import Cancelled, deadline
from rag.providers.deadline_transport import bounded
from rag.providers.lean_pool import LeanPool, Settings
from rag.tests.slow_server import SlowServer, running
from rag.tests.timing import cancelled_after, seconds_until, settled

LATE_S = 0.3
TRUST = ssl.create_default_context()  # made once: it costs more than a request
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Step = bytes | threading.Event | None
"""bytes to send, an event to wait for, or None to hang up"""


@dataclass
class Player(SlowServer):
    """Answers each path with its steps, and others with OK; `seen` are the requests as they came."""

    steps: dict[str, list[Step]] = field(default_factory=dict)
    seen: list[bytes] = field(default_factory=list)
    clients: list[Any] = field(default_factory=list)

    async def exchange(self, reader: StreamReader, writer: StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.seen.append(head + await body_behind(head, reader))
        for step in self.steps.get(head.split()[1].decode(), [OK]):
            if isinstance(step, threading.Event):
                await asyncio.to_thread(step.wait, 5)
            elif step is None:
                writer.close()
                await writer.wait_closed()
                raise ConnectionResetError
            else:
                writer.write(step)
                await writer.drain()

    def client(self, library: Any, **more: Any) -> Any:
        made = bounded(library.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, **more))
        self.clients.append(made)
        return made


async def body_behind(head: bytes, reader: StreamReader) -> bytes:
    if b"chunked" in head.lower():
        return await reader.readuntil(b"0\r\n\r\n")
    length = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
    return await reader.readexactly(int(length[0]) if length else 0)


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def server() -> Iterator[Player]:
    with running(Player()) as player:
        assert isinstance(player, Player)
        yield player
        for client in player.clients:
            client.close()
        assert settled(lambda: player.open, 0) == 0


class TestAnswers:
    @pytest.mark.parametrize(
        ("steps", "text"),
        [
            ([OK], "ok"),
            ([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], ""),
            (
                [
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe",
                    b"\r\n3\r\nllo\r\n0\r\nT: 1\r\n\r\n",
                ],
                "hello",
            ),
            ([b"HTTP/1.1 200 OK\r\n\r\nuntil the ", b"end", None], "until the end"),
            ([b"HTTP/1.0 200 OK\r\n\r\nold", None], "old"),
        ],
        ids=["length", "empty", "chunked", "until it closes", "HTTP/1.0"],
    )
    def test_a_body_is_read_to_its_end(self, server: Player, library: Any, steps: list[Step], text: str) -> None:
        server.steps["/"] = steps

        assert server.client(library).get("/").text == text

    def test_status_reason_version_and_headers_are_those_sent(self, server: Player, library: Any) -> None:
        server.steps["/"] = [b"HTTP/1.1 418 Tea\r\nX-One:  a \r\nx-one: b\r\nEmpty:\r\nContent-Length: 0\r\n\r\n"]

        answer = server.client(library).get("/")

        assert (answer.status_code, answer.reason_phrase, answer.http_version) == (418, "Tea", "HTTP/1.1")
        assert answer.headers.raw == [(b"X-One", b"a"), (b"x-one", b"b"), (b"Empty", b""), (b"Content-Length", b"0")]

    @pytest.mark.parametrize("before", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"])
    @pytest.mark.parametrize("together", [True, False])
    def test_informational_answers_are_skipped(
        self, server: Player, library: Any, before: bytes, together: bool
    ) -> None:
        server.steps["/"] = [before + before + OK] if together else [before, before, OK]

        answer = server.client(library).get("/")

        assert (answer.status_code, answer.reason_phrase, answer.text) == (200, "OK", "ok")
        assert "link" not in answer.headers

    @pytest.mark.parametrize(
        ("method", "status", "opened"), [("GET", b"204 None", 1), ("GET", b"304 Same", 1), ("HEAD", b"200 OK", 2)]
    )
    def test_an_answer_that_has_no_body_is_not_waited_for(
        self, server: Player, library: Any, method: str, status: bytes, opened: int
    ) -> None:
        """After HEAD the connection is not used again: the parser would take later bytes for the body."""
        server.steps["/"] = [b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\n\r\n"]
        client = server.client(library)

        assert [client.request(method, "/").content for _ in range(2)] == [b"", b""]
        assert server.opened == opened

    def test_a_stream_gives_pieces_as_they_arrive(self, server: Player, library: Any) -> None:
        first_seen = threading.Event()
        server.steps["/"] = [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst", first_seen, b"other"]
        pieces = []

        with server.client(library).stream("GET", "/") as answer:
            for piece in answer.iter_raw():
                pieces.append(piece)
                first_seen.set()

        assert pieces == [b"first", b"other"]


class TestBrokenAnswers:
    @pytest.mark.parametrize(
        ("steps", "message"),
        [
            ([None], "Server disconnected without sending a response"),
            ([b"HTTP/1.1 200 OK\r\nContent-", None], "Server disconnected without sending a response"),
            ([OK[:-1], None], "peer closed connection without sending complete message body"),
            ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe", None], "peer closed connection without"),
            ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"], "chunk size"),
            ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", None], "unclear where the body ends"),
            ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"], "Content-Length"),
            ([b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"], "status 101"),
            ([b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n"], "status 99"),
            ([b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"], "HTTP/2.0"),
            ([b"SSH-2.0-OpenSSH\r\n"], "Expected HTTP/"),
        ],
    )
    def test_what_is_not_http_is_an_error_of_the_remote(
        self, server: Player, library: Any, steps: list[Step], message: str
    ) -> None:
        server.steps["/"] = steps
        client = server.client(library)

        with pytest.raises(library.RemoteProtocolError, match=message):
            client.get("/")

        assert client.get("/fine").text == "ok"
        assert settled(lambda: server.open, 1) == 1

    def test_what_came_before_the_break_is_given(self, server: Player, library: Any) -> None:
        server.steps["/"] = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\nzz\r\n"]
        pieces = []

        with (
            server.client(library).stream("GET", "/") as answer,
            pytest.raises(library.RemoteProtocolError),
        ):
            pieces.extend(answer.iter_raw())  # the list keeps what came before the error

        assert (answer.status_code, pieces) == (200, [b"he"])

    @pytest.mark.parametrize(
        "start",
        [
            b"HTTP/1.1 200 OK\r\nX: ",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: ",
        ],
        ids=["head", "chunk", "trailer"],
    )
    def test_no_server_fills_the_memory_with_what_is_no_body(self, server: Player, library: Any, start: bytes) -> None:
        server.steps["/"] = [start, *[b"x" * 10_000] * 1000]

        with pytest.raises(library.RemoteProtocolError, match="too long"):
            server.client(library).get("/")

    def test_an_early_refusal_of_a_large_question_is_read(self) -> None:
        """The rest of the question cannot be sent any more; the answer is there all the same."""
        wire = Wire([b"HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n"], deaf=True)

        with lean_client(wire) as client:
            assert client.post("http://test/", content=bytes(100_000)).status_code == 413


class TestRequests:
    @pytest.mark.parametrize(
        ("content", "behind"),
        [
            (b"body", b"\r\n\r\nbody"),
            (lambda: iter([b"one", b"", b"three"]), b"\r\n\r\n3\r\none\r\n5\r\nthree\r\n0\r\n\r\n"),
            (lambda: iter([]), b"\r\n\r\n0\r\n\r\n"),
            (b"x" * 200_000, b"\r\n\r\n" + b"x" * 200_000),
        ],
        ids=["length", "chunks", "no chunks", "large"],
    )
    def test_a_body_goes_out_as_its_headers_say(
        self, server: Player, library: Any, content: Any, behind: bytes
    ) -> None:
        client = server.client(library)

        for _ in range(2):
            client.post("/?a=b", content=content() if callable(content) else content)

        assert all(seen.startswith(b"POST /?a=b HTTP/1.1\r\nHost: 127.0.0.1") for seen in server.seen)
        assert [seen[-len(behind) :] for seen in server.seen] == [behind, behind]
        assert server.opened == 1

    @pytest.mark.parametrize("content", [b"four+", b"fou"])
    def test_a_body_of_another_length_than_announced_is_refused(
        self, server: Player, library: Any, content: bytes
    ) -> None:
        client = server.client(library)

        with pytest.raises(library.LocalProtocolError, match="declared Content-Length"):
            client.post("/", content=iter([content]), headers={"Content-Length": "4"})

        assert client.get("/").text == "ok"

    @pytest.mark.parametrize(
        "bad",
        [
            {"headers": {"X": "a\r\nEvil: b"}},
            {"headers": {"X": "a\nb"}},
            {"headers": {"X": "a\0b"}},
            {"headers": {"X\r\nEvil": "b"}},
            {"headers": {"X Y": "b"}},
            {"headers": {"X:": "b"}},
            {"headers": {"": "b"}},
            {"headers": {"Content-Length": "1, 2"}},
            {"headers": {"Content-Length": "0", "Transfer-Encoding": "chunked"}},
            {"headers": {"Transfer-Encoding": "gzip"}},
            {"method": "GET /evil HTTP/1.1\r\nX:"},
            {"extensions": {"target": b"/a b"}},
            {"extensions": {"target": b"/a\r\nX: b"}},
            {"extensions": {"target": b""}},
        ],
        ids=str,
    )
    def test_nothing_illegal_is_sent(self, server: Player, library: Any, bad: dict[str, Any]) -> None:
        with pytest.raises(library.LocalProtocolError):
            server.client(library).request(**{"method": "POST", "url": "/"} | bad)

        assert server.opened == 0

    def test_another_scheme_is_unsupported(self, library: Any) -> None:
        with pytest.raises(library.UnsupportedProtocol):
            bounded(library.Client()).get("gopher://127.0.0.1/")

    def test_head_and_small_body_leave_in_one_piece(self) -> None:
        wire = Wire([OK])
        with lean_client(wire) as client:
            client.post("http://test/", content=b"small")

        assert len(wire.written) == 1


class TestReuse:
    @pytest.mark.parametrize(
        "steps",
        [
            [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"],
            [b"HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nok"],
            [b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"],
            [OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"],
            [OK + b"x"],
            [OK, None],
        ],
        ids=["close", "close among others", "HTTP/1.0", "a second answer", "a byte more", "hung up"],
    )
    def test_a_connection_that_is_not_as_new_is_not_used_again(
        self, server: Player, library: Any, steps: list[Step]
    ) -> None:
        server.steps["/"] = steps
        client = server.client(library)

        first = client.get("/")
        if steps[-1] is None:
            assert settled(lambda: server.open, 0) == 0
        answers = [first, client.get("/fine"), client.get("/fine")]

        assert [answer.text for answer in answers] == ["ok", "ok", "ok"]
        assert (len(server.seen), server.opened) == (3, 2)

    def test_a_body_left_unread_ends_the_connection(self, server: Player, library: Any) -> None:
        server.steps["/"] = [OK[:-1]]
        client = server.client(library)

        with client.stream("GET", "/"):
            pass

        assert client.get("/fine").text == "ok"
        assert (server.opened, settled(lambda: server.open, 1)) == (2, 1)

    def test_a_connection_that_dies_under_a_request_is_not_tried_again(self, server: Player, library: Any) -> None:
        """As in httpcore: whether the server has worked on it cannot be known."""
        server.steps["/dies"] = [None]
        client = server.client(library)
        client.get("/")

        with pytest.raises(library.RemoteProtocolError, match="Server disconnected"):
            client.post("/dies")

        assert (len(server.seen), server.opened) == (2, 1)

    def test_a_cancelled_stream_is_closed(self, server: Player, library: Any) -> None:
        server.steps["/"] = [OK[:-1]]
        client = server.client(library, timeout=30)

        with cancelled_after(0.1):
            took = seconds_until(Cancelled, lambda: client.get("/"))

        assert took < 0.1 + LATE_S
        assert settled(lambda: server.open, 0) == 0
        assert client.get("/fine").text == "ok"

    def test_a_closed_client_leaves_no_connection(self, server: Player, library: Any) -> None:
        client = server.client(library)
        client.get("/")

        client.close()

        assert settled(lambda: server.open, 0) == 0


class TestPool:
    def test_a_full_pool_is_waited_for_as_long_as_the_client_says(self, server: Player, library: Any) -> None:
        client = server.client(library, limits=library.Limits(max_connections=1), timeout=library.Timeout(5, pool=0.1))

        with client.stream("GET", "/"):
            assert 0.1 <= seconds_until(library.PoolTimeout, lambda: client.get("/")) < 0.1 + LATE_S
        assert client.get("/").text == "ok"
        assert server.opened == 1

    def test_a_full_pool_is_not_waited_for_beyond_the_deadline(self, server: Player, library: Any) -> None:
        client = server.client(library, limits=library.Limits(max_connections=1), timeout=30)

        with client.stream("GET", "/"), deadline(0.1):
            took = seconds_until(library.PoolTimeout, lambda: client.get("/"))

        assert 0.1 <= took < 0.1 + LATE_S

    def test_who_waits_gets_the_connection_that_comes_free(self, server: Player, library: Any) -> None:
        client = server.client(library, limits=library.Limits(max_connections=1), timeout=5)

        with ThreadPoolExecutor(1) as pool:
            with client.stream("GET", "/") as answer:
                waiting = pool.submit(client.get, "/")
                answer.read()
            assert waiting.result(5).text == "ok"
        assert server.opened == 1

    def test_a_failed_connection_leaves_its_place(self, server: Player, library: Any) -> None:
        server.steps["/"] = [None]
        client = server.client(library, limits=library.Limits(max_connections=1), timeout=1)

        for _ in range(3):
            with pytest.raises(library.RemoteProtocolError):
                client.get("/")

        assert client.get("/fine").text == "ok"

    def test_an_idle_connection_makes_room_for_another_host(self, server: Player, library: Any) -> None:
        client = server.client(library, limits=library.Limits(max_connections=1), timeout=1)

        for host in ("127.0.0.1", "localhost", "127.0.0.1"):
            assert client.get(f"http://{host}:{server.port}/").text == "ok"

        assert (server.opened, settled(lambda: server.open, 1)) == (3, 1)

    def test_no_more_idle_connections_are_kept_than_the_client_says(self, server: Player, library: Any) -> None:
        client = server.client(library, limits=library.Limits(max_keepalive_connections=2))

        together = threading.Barrier(3)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda _: read_together(client, together), range(3)))

        assert settled(lambda: server.open, 2) == 2

    def test_an_idle_connection_expires(self, server: Player, library: Any) -> None:
        client = server.client(library, limits=library.Limits(keepalive_expiry=0.0))

        for _ in range(3):
            assert client.get("/").text == "ok"

        assert server.opened == 3

    def test_threads_that_share_a_client_get_their_own_answers(self, server: Player, library: Any) -> None:
        for n in range(200):
            body = b"%d" % n * 50
            server.steps[f"/{n}"] = [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body]
        client = server.client(library, limits=library.Limits(max_connections=5), timeout=30)

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda n: client.get(f"/{n}").text, range(200)))

        assert answers == [f"{n}" * 50 for n in range(200)]
        assert server.opened <= 5


def read_together(client: Any, together: threading.Barrier) -> None:
    with client.stream("GET", "/") as answer:
        together.wait(5)
        answer.read()


class TestWhoGetsThePool:
    @pytest.mark.parametrize("more", [{"http2": True}, {"uds": "some.socket"}, {"retries": 1}], ids=str)
    def test_what_it_cannot_do_stays_with_httpcore(self, library: Any, more: dict[str, Any]) -> None:
        core = httpcore if library is httpx else httpcore2
        transport = library.HTTPTransport()
        transport._pool = pool = core.ConnectionPool(**more)

        bounded(library.Client(transport=transport, trust_env=False))

        assert transport._pool is pool

    def test_a_pool_that_hides_its_settings_is_refused(self, library: Any) -> None:
        client = library.Client()
        del client._transport._pool._keepalive_expiry

        with pytest.raises(TypeError, match="_keepalive_expiry"):
            bounded(client)

    def test_socket_options_and_local_address_are_honoured(self, server: Player, library: Any) -> None:
        transport = library.HTTPTransport(local_address="127.0.0.3")
        client = server.client(library, transport=transport)

        client.get("/")

        [connection] = transport._pool._idle
        assert isinstance(transport._pool, LeanPool)
        assert connection._stream.get_extra_info("client_addr")[0] == "127.0.0.3"


@dataclass
class Wire(httpcore.NetworkBackend, httpcore.NetworkStream):
    """A connection kept in memory: it reads the pieces given, then the end."""

    pieces: list[bytes]
    written: list[bytes] = field(default_factory=list)
    deaf: bool = False

    def connect_tcp(self, *where: Any, **how: Any) -> "Wire":
        return self

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self.deaf:
            raise httpcore.WriteError
        self.written.append(buffer)

    def close(self) -> None:
        """Nothing is open."""

    def get_extra_info(self, info: str) -> Any:
        return None


def lean_client(wire: Wire) -> httpx.Client:
    transport = httpx.HTTPTransport(verify=TRUST)
    transport._pool = LeanPool(  # type: ignore[assignment]
        Settings(
            core=httpcore,
            backend=wire,
            ssl_context=None,
            max_connections=1,
            max_idle=1,
            keepalive_s=None,
            local_address=None,
            socket_options=None,
        )
    )
    return httpx.Client(transport=transport, trust_env=False)


def stock_client(wire: Wire) -> httpx.Client:
    transport = httpx.HTTPTransport(verify=TRUST)
    transport._pool = httpcore.ConnectionPool(network_backend=wire)
    return httpx.Client(transport=transport, trust_env=False)


def outcome(client: Callable[[Wire], httpx.Client], pieces: list[bytes], method: str) -> object:
    with client(Wire(list(pieces))) as made:
        try:
            answer = made.request(method, "http://test/", headers={"Accept-Encoding": "identity"})
        except httpx.HTTPError as error:
            return type(error)
    return answer.status_code, answer.reason_phrase, answer.http_version, answer.headers.raw, answer.content


STATUS = st.sampled_from(
    [b"200 OK", b"200", b"404 Not Found", b"204 No Content", b"304 Not Modified", b"500 ", b"999 x"]
)
HEADER = st.sampled_from(
    [
        b"X-A: b",
        b"X-A:",
        b"x-a:  c \t",
        b"Connection: close",
        b"Connection: keep-alive, x",
        b"Set-Cookie: a=\xe9; b",
        b"Upgrade: h2",
    ]
)
BODY = st.binary(max_size=40)
INFORMATIONAL = st.lists(
    st.sampled_from([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 E\r\nX: y\r\n\r\n"]), max_size=2
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Answers that are well formed in their lines, whole or cut short, with a body framed in some way or in none."""
    body, framing = draw(BODY), draw(st.sampled_from(["length", "chunked", "none", "wrong"]))
    headers = draw(st.lists(HEADER, max_size=4))
    if framing == "length":
        headers.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked":
        headers.append(b"Transfer-Encoding: chunked")
        cut = draw(st.integers(0, len(body)))
        parts = [part for part in (body[:cut], body[cut:]) if part]
        extension = draw(st.sampled_from([b"", b";a=b"]))
        trailer = draw(st.sampled_from([b"", b"T: x\r\n"]))
        chunks = [b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts]
        body = b"".join([*chunks, b"0\r\n", trailer, b"\r\n"])
    elif framing == "wrong":
        headers.append(draw(st.sampled_from([b"Content-Length: x", b"Content-Length: -1", b"Transfer-Encoding: gzip"])))
    version = draw(st.sampled_from([b"HTTP/1.1 ", b"HTTP/1.0 "]))
    head = b"\r\n".join([version + draw(STATUS), *headers, b"", b""])
    whole = b"".join(draw(INFORMATIONAL)) + head + body
    return whole[: draw(st.sampled_from([len(whole), draw(st.integers(0, len(whole)))]))]


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:stop] for start, stop in zip(places, places[1:], strict=False)]


CUTS = st.lists(st.integers(0, 500), max_size=8)


@given(data=answers(), cuts=CUTS, method=st.sampled_from(["GET", "HEAD"]))
def test_it_reads_answers_as_httpcore_does(data: bytes, cuts: list[int], method: str) -> None:
    pieces = split(data, cuts)

    assert outcome(lean_client, pieces, method) == outcome(stock_client, pieces, method)


@given(data=answers(), cuts=CUTS, at=st.integers(0, 500), byte=st.binary(max_size=2))
def test_what_it_takes_of_damaged_answers_httpcore_takes_alike(
    data: bytes, cuts: list[int], at: int, byte: bytes
) -> None:
    """Not the other way round: llhttp refuses more than h11 does."""
    at %= len(data) + 1
    pieces = split(data[:at] + byte + data[at + 1 :], cuts)
    ours = outcome(lean_client, pieces, "GET")

    assert ours in (httpx.RemoteProtocolError, outcome(stock_client, pieces, "GET"))
