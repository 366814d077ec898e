"""One running sandbox for all wire tests, reset between them."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from uuid import uuid4

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
START_S = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Running:
    """A sandbox process, its doors and what it logged. What is entered into `closing` is closed when the test ends."""

    url: str
    process: subprocess.Popen[bytes]
    http: httpx.Client
    log: IO[str]
    closing: ExitStack = field(default_factory=ExitStack)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        answer = self.http.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()

    def break_next(self, endpoint: str, *, times: int | None = 1, match: str | None = None, **fault: object) -> int:
        order = {"endpoint": endpoint, "fault": fault, "times": times, "match": match}
        return int(self.ask("POST", "/_control", order)["id"])

    def bill(self) -> Any:
        return self.ask("GET", "/_bill")

    def advance(self, seconds: float, *, bill: bool = False) -> None:
        self.ask("POST", "/_control/clock", {"advance_s": seconds, "bill": bill})

    def pace(self, **milliseconds: float) -> None:
        self.ask("POST", "/_control/latency", milliseconds)


@contextmanager
def running(*options: str) -> Iterator[Running]:
    port = free_port()
    command = [sys.executable, "-m", "sandbox", "--port", str(port), *options]
    url = f"http://127.0.0.1:{port}"
    with TemporaryFile("w+") as log, httpx.Client(base_url=url, timeout=10) as http:
        process = subprocess.Popen(command, cwd=ROOT, stderr=log)
        try:
            wait_until_healthy(http, process)
            yield Running(url=url, process=process, http=http, log=log)
        finally:
            process.terminate()
            process.wait(timeout=10)


def wait_until_healthy(http: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            http.get("/healthz", timeout=1)
            return
        except httpx.TransportError:
            time.sleep(0.05)
    process.kill()
    raise AssertionError("the sandbox did not start")


@pytest.fixture(scope="session")
def _server() -> Iterator[Running]:
    with running() as server:
        yield server


@pytest.fixture
def server(_server: Running) -> Iterator[Running]:
    _server.ask("DELETE", "/_control")
    _server.ask("DELETE", "/_bill")
    _server.pace(latency_ms=0, generate_ms=0)
    with ExitStack() as closing:
        yield replace(_server, closing=closing)


@pytest.fixture
def key() -> str:
    """A key that no other test uses: the prompt cache is kept by key."""
    return f"sk-test-{uuid4().hex}"


def post(server: Running, path: str, body: object, *, key: str = "sk-plain") -> httpx.Response:
    """A request without an SDK, for what SDKs refuse to send."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"x-api-key": key, "Content-Type": "application/json"}
    return server.http.post(path, content=content, headers=headers)


@pytest.fixture(autouse=True)
def own_voyage_session(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The SDK as it comes: an application in the same process may have given it a session of another kind."""
    import voyageai
    from voyageai.api_resources import api_requestor

    monkeypatch.setattr(voyageai, "requestssession", None)
    vars(api_requestor._thread_context).pop("session", None)
    yield
    vars(api_requestor._thread_context).pop("session", None)
