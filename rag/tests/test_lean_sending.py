"""The Anthropic SDK's lean client says and hears what httpx2's own would."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from rag.providers.deadline_transport import bounded
from rag.providers.lean_sending import LeanHttpxClient
from rag.tests.slow_server import running
from rag.tests.test_lean_pool import Player


@pytest.fixture
def server() -> Iterator[Player]:
    with running(Player()) as player:
        assert isinstance(player, Player)
        yield player


@pytest.fixture
def clients() -> Iterator[tuple[httpx2.Client, httpx2.Client]]:
    options: dict[str, Any] = {"trust_env": False, "headers": {"X-Ours": "1"}, "follow_redirects": False}
    with bounded(LeanHttpxClient(**options)) as lean, bounded(httpx2.Client(**options)) as usual:
        yield lean, usual


@pytest.mark.parametrize(
    "more",
    [
        {"content": b'{"a": 1}', "headers": httpx2.Headers({"content-type": "application/json", "user-agent": "sdk"})},
        {"content": b"", "headers": None, "timeout": 3.0, "params": None, "files": None},
        {"json": {"a": 1}, "params": {"beta": "true"}},
        {"content": b"x", "timeout": httpx2.USE_CLIENT_DEFAULT},
    ],
)
def test_it_sends_the_bytes_that_httpx_sends(
    server: Player, clients: tuple[httpx2.Client, httpx2.Client], more: dict[str, Any]
) -> None:
    answers = []
    for client in clients:
        request = client.build_request("post", httpx2.URL(f"http://127.0.0.1:{server.port}/path?q=a%20b"), **more)
        answers.append(client.send(request))

    assert server.seen[0] == server.seen[1]
    assert [(answer.status_code, answer.text, answer.is_closed) for answer in answers] == [(200, "ok", True)] * 2


def test_a_stream_is_left_to_whoever_reads_it(server: Player, clients: tuple[httpx2.Client, httpx2.Client]) -> None:
    lean, _ = clients
    response = lean.send(lean.build_request("GET", httpx2.URL(f"http://127.0.0.1:{server.port}/path")), stream=True)

    assert not response.is_stream_consumed
    assert b"".join(response.iter_bytes()) == b"ok"


def test_a_redirect_is_not_followed(server: Player, clients: tuple[httpx2.Client, httpx2.Client]) -> None:
    lean, _ = clients
    server.steps["/moved"] = [b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"]

    assert lean.send(lean.build_request("GET", httpx2.URL(f"http://127.0.0.1:{server.port}/moved"))).status_code == 302


def test_a_closed_client_says_so(clients: tuple[httpx2.Client, httpx2.Client]) -> None:
    lean, _ = clients
    request = lean.build_request("GET", httpx2.URL("http://127.0.0.1:9/"))
    lean.close()

    with pytest.raises(RuntimeError, match="closed"):
        lean.send(request)
