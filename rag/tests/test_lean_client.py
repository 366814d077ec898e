"""The lean client says and hears what httpx's own would."""

import gzip
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from rag.providers.deadline import deadline
from rag.providers.deadline_transport import bounded
from rag.providers.lean_client import LeanClient
from rag.tests.slow_server import running
from rag.tests.test_lean_pool import Player

ASKED: list[tuple[str, dict[str, Any]]] = [
    ("get", {}),
    ("POST", {"json": {"words": ["ä", None, 1.5]}}),
    ("post", {"content": b"\x00raw", "headers": {"Content-Type": "application/x-raw", "user-agent": "ours"}}),
    ("POST", {"content": "text", "timeout": 3, "params": None, "data": None, "files": None}),
    ("POST", {"data": {"form": "field"}}),
    ("GET", {"params": {"page": "2"}}),
]


@pytest.fixture
def server() -> Iterator[Player]:
    with running(Player()) as player:
        assert isinstance(player, Player)
        yield player


@pytest.fixture
def lean() -> Iterator[LeanClient]:
    client = LeanClient(trust_env=False, headers={"X-Ours": "1"})
    with bounded(client):
        yield client


@pytest.mark.parametrize(("method", "more"), ASKED)
def test_it_sends_the_bytes_that_httpx_sends(
    server: Player, lean: LeanClient, method: str, more: dict[str, Any]
) -> None:
    url = f"http://127.0.0.1:{server.port}/path?q=a%20b"
    with bounded(httpx.Client(trust_env=False, headers={"X-Ours": "1"})) as usual:
        usual.request(method, url, **more)
    answer = lean.request(method, url, **more)
    assert server.seen[0] == server.seen[1]
    assert (answer.status_code, answer.text) == (200, "ok")


def test_it_unpacks_what_comes_packed(server: Player, lean: LeanClient) -> None:
    packed = gzip.compress(b'{"a": 1}')
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    server.steps["/packed"] = [head + packed]
    assert lean.request("GET", f"http://127.0.0.1:{server.port}/packed").json() == {"a": 1}


def test_no_cookie_is_kept(server: Player, lean: LeanClient) -> None:
    server.steps["/cookie"] = [b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n"]
    for _ in range(2):
        lean.request("GET", f"http://127.0.0.1:{server.port}/cookie")
    assert b"ookie:" not in server.seen[1]


def test_a_redirect_is_an_answer(server: Player, lean: LeanClient) -> None:
    server.steps["/away"] = [b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"]
    assert lean.request("GET", f"http://127.0.0.1:{server.port}/away").status_code == 302
    assert len(server.seen) == 1


def test_one_connection_serves_many(server: Player, lean: LeanClient) -> None:
    for _ in range(3):
        lean.request("GET", f"http://127.0.0.1:{server.port}/")
    assert server.opened == 1


def test_a_name_and_password_in_the_address_are_sent(server: Player, lean: LeanClient) -> None:
    lean.request("GET", f"http://me:secret@127.0.0.1:{server.port}/")
    assert b"authorization: basic" in server.seen[0].lower()


def test_what_fails_fails_as_with_httpx(server: Player, lean: LeanClient) -> None:
    server.steps["/cut"] = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", None]
    with pytest.raises(httpx.RemoteProtocolError):
        lean.request("GET", f"http://127.0.0.1:{server.port}/cut")
    with pytest.raises(httpx.UnsupportedProtocol):
        lean.request("GET", "gopher://127.0.0.1/")
    with pytest.raises(httpx.InvalidURL):
        lean.request("GET", "http://127.0.0.1:port/")
    with pytest.raises(httpx.HTTPStatusError):
        server.steps["/no"] = [b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"]
        lean.request("GET", f"http://127.0.0.1:{server.port}/no").raise_for_status()


def test_it_obeys_the_deadline(server: Player, lean: LeanClient) -> None:
    never = threading.Event()
    server.steps["/slow"] = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", never]
    with deadline(0.2), pytest.raises(httpx.ReadTimeout):
        lean.request("GET", f"http://127.0.0.1:{server.port}/slow")
    never.set()
