"""Deadlines and cancelling, by the clock and through the four real SDKs against a server that is slow in every way."""

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, NamedTuple

import anthropic
import httpx
import httpx2
import pytest

from rag.errors import ProviderTimeout
from rag.providers import factory
from rag.providers.contracts import ChatRequest, EmbedRequest, Endpoint, Message, RerankRequest
from rag.providers.deadline import Cancelled, DeadlineExceeded, deadline, remaining
from rag.providers.deadline_transport import bounded
from rag.tests.slow_server import SlowServer, running

TIME_S = 1.0
LATE_S = 0.2
FAULTS = ("stall", "header drip", "body drip", "half")
VECTORS = {"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.5]}]}
ANSWERS = {
    "/anthropic/v1/messages": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "Hello."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
    "/voyage/v1/embeddings": VECTORS | {"usage": {"total_tokens": 1}},
    "/openai/v1/embeddings": VECTORS | {"usage": {"prompt_tokens": 1, "total_tokens": 1}},
    "/cohere/v2/rerank": {"id": "r1", "results": [{"index": 0, "relevance_score": 0.9}], "meta": {}},
}


class Vendor(NamedTuple):
    name: str
    path: str
    make: Callable[[Endpoint], Any]
    request: Callable[[str], Any]
    """model -> request"""


VENDORS = (
    Vendor(
        "anthropic", "/anthropic", factory.chat_model, lambda model: ChatRequest(model, (), (Message("user", "Hi"),), 5)
    ),
    Vendor("voyage", "/voyage/v1", factory.embedder, lambda model: EmbedRequest(model, ("one",), "query", 2)),
    Vendor("openai", "/openai/v1", factory.embedder, lambda model: EmbedRequest(model, ("one",), "query", 2)),
    Vendor("cohere", "/cohere", factory.reranker, lambda model: RerankRequest(model, "one", ("two",), 1)),
)
every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(scope="module")
def server() -> Iterator[SlowServer]:
    with running(SlowServer(answers=ANSWERS)) as known:
        yield known


def client(vendor: Vendor, server: SlowServer) -> Any:
    url = f"http://127.0.0.1:{server.port}{vendor.path}"
    return vendor.make(Endpoint(vendor.name, url, "test-key", "simulated", 30.0))


def seconds_until(error: type[BaseException], call: Callable[[], Any]) -> float:
    started = time.monotonic()
    with pytest.raises(error):
        call()
    return time.monotonic() - started


@contextmanager
def cancelled_after(seconds: float) -> Iterator[None]:
    with deadline(30) as limit:
        timer = threading.Timer(seconds, limit.cancel)
        timer.start()
        try:
            yield
        finally:
            timer.join()


def settled(count: Callable[[], int], wanted: int) -> int:
    """The count, once it is down to what is wanted or two seconds are over."""
    give_up = time.monotonic() + 2
    while count() > wanted and time.monotonic() < give_up:
        time.sleep(0.01)
    return count()


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def test_without_a_deadline_nothing_is_bounded() -> None:
    assert remaining() is None


def test_the_time_left_goes_down_to_nothing() -> None:
    clock = Clock()
    seen = []

    with deadline(10, now=clock):
        for _ in range(3):
            seen.append(remaining())
            clock.advance(6)

    assert seen == [10, 4, 0]
    assert remaining() is None


@pytest.mark.parametrize(("outer", "inner"), [(3, 8), (8, 3)])
def test_the_earlier_of_two_deadlines_wins(outer: float, inner: float) -> None:
    clock = Clock()

    with deadline(outer, now=clock), deadline(inner, now=clock):
        assert remaining() == 3
        clock.advance(1)
        assert remaining() == 2


def test_after_an_inner_deadline_the_outer_one_holds() -> None:
    with deadline(8, now=Clock()):
        with deadline(3, now=Clock()):
            pass
        assert remaining() == 8


def test_a_check_says_that_the_time_is_over() -> None:
    clock = Clock()

    with deadline(1, now=clock) as limit:
        limit.check()
        clock.advance(1)
        with pytest.raises(DeadlineExceeded):
            limit.check()


def test_cancelling_the_outer_block_ends_the_inner_one() -> None:
    with deadline(8) as outer, deadline(3) as inner:
        outer.cancel()

        with pytest.raises(Cancelled):
            inner.check()


def test_cancelling_the_inner_block_leaves_the_outer_one() -> None:
    with deadline(8) as outer, deadline(3) as inner:
        inner.cancel()

        outer.check()


def test_a_thread_obeys_when_it_is_given_the_context() -> None:
    with deadline(8, now=Clock()), ThreadPoolExecutor(1) as pool:
        bound, free = pool.submit(copy_context().run, remaining).result(), pool.submit(remaining).result()

    assert (bound, free) == (8, None)


@every_vendor
def test_a_provider_that_does_not_end_is_cut_at_the_deadline(server: SlowServer, vendor: Vendor) -> None:
    provider = client(vendor, server)
    provider.send(vendor.request("m"))
    connections = server.open

    def call(fault: str) -> float:
        with deadline(TIME_S):
            return seconds_until(ProviderTimeout, lambda: provider.send(vendor.request(fault)))

    with ThreadPoolExecutor(len(FAULTS)) as pool:
        took = dict(zip(FAULTS, pool.map(call, FAULTS), strict=True))

    assert {fault: seconds for fault, seconds in took.items() if not TIME_S <= seconds < TIME_S + LATE_S} == {}
    assert provider.send(vendor.request("m")).usage
    assert settled(lambda: server.open, connections) <= connections


@every_vendor
@pytest.mark.parametrize("fault", FAULTS)
def test_a_cancelled_call_ends_at_once(server: SlowServer, vendor: Vendor, fault: str) -> None:
    provider = client(vendor, server)

    with cancelled_after(0.1):
        took = seconds_until(Cancelled, lambda: provider.send(vendor.request(fault)))

    assert took < 0.1 + LATE_S
    assert provider.send(vendor.request("m")).usage


@every_vendor
def test_once_the_time_is_over_nobody_is_called(server: SlowServer, vendor: Vendor) -> None:
    """It also pins that the SDK still sends through the wire that obeys deadlines."""
    provider = client(vendor, server)
    provider.send(vendor.request("m"))
    served = server.served

    with deadline(0):
        took = seconds_until(ProviderTimeout, lambda: provider.send(vendor.request("m")))

    assert (took < LATE_S, server.served) == (True, served)


@every_vendor
def test_cancelled_calls_leave_nothing_behind(server: SlowServer, vendor: Vendor) -> None:
    provider = client(vendor, server)
    provider.send(vendor.request("m"))
    threads, connections, files = threading.active_count(), server.open, open_files()

    for _ in range(200):
        with cancelled_after(0.004), pytest.raises(Cancelled):
            provider.send(vendor.request("half"))

    provider.send(vendor.request("m"))
    assert threading.active_count() == threads
    assert settled(lambda: server.open, connections) <= connections
    assert settled(open_files, files) <= files


@every_vendor
def test_a_connection_is_used_again(server: SlowServer, vendor: Vendor) -> None:
    provider = client(vendor, server)
    with deadline(5):
        provider.send(vendor.request("m"))
    opened = server.opened

    for _ in range(5):
        with deadline(5):
            provider.send(vendor.request("m"))

    assert server.opened == opened


def test_an_endless_stream_is_cut_at_the_deadline(server: SlowServer) -> None:
    made = bounded(anthropic.DefaultHttpxClient())
    claude = anthropic.Anthropic(
        api_key="k", base_url=f"http://127.0.0.1:{server.port}/anthropic", max_retries=0, http_client=made
    )

    def read() -> None:
        for _ in claude.messages.create(model="events", max_tokens=5, messages=[], stream=True):
            pass

    connections = server.open
    with deadline(0.5):
        took = seconds_until(httpx2.ReadTimeout, read)

    assert 0.5 <= took < 0.5 + LATE_S
    assert settled(lambda: server.open, connections) <= connections


def test_a_timeout_says_that_it_was_the_deadline(server: SlowServer) -> None:
    made = bounded(httpx.Client(timeout=30))

    with deadline(0.05), pytest.raises(httpx.ReadTimeout, match="the deadline of the whole call has passed"):
        made.post(f"http://127.0.0.1:{server.port}/cohere/v2/rerank", json={"model": "stall"})


def test_the_clients_own_timeout_still_holds(server: SlowServer) -> None:
    made = bounded(httpx.Client(timeout=0.05))

    def ask() -> None:
        made.post(f"http://127.0.0.1:{server.port}/cohere/v2/rerank", json={"model": "stall"})

    for bound in (deadline(5), deadline(6)):
        with bound:
            assert seconds_until(httpx.ReadTimeout, ask) < 0.05 + LATE_S
    assert seconds_until(httpx.ReadTimeout, ask) < 0.05 + LATE_S


@pytest.mark.parametrize(
    "made",
    [
        httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200))),
        httpx2.Client(transport=httpx2.MockTransport(lambda request: httpx2.Response(200))),
    ],
    ids=["httpx", "httpx2"],
)
def test_a_client_that_cannot_be_bounded_is_refused(made: Any) -> None:
    with pytest.raises(TypeError, match="no deadline can be kept"):
        bounded(made)


def test_a_library_that_changed_inside_is_refused() -> None:
    made = httpx.Client()
    del made._transport._pool._network_backend  # type: ignore[attr-defined]

    with pytest.raises(TypeError, match="no network backend"):
        bounded(made)
