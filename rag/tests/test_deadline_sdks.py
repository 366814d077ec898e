"""Deadlines and cancelling through the four real SDKs, against a server that is slow in every way."""

import gc
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import anthropic
import httpx2
import pytest

from rag.errors import ProviderTimeout
from rag.providers import factory
from rag.providers.contracts import ChatRequest, EmbedRequest, Endpoint, Message, RerankRequest
from rag.providers.deadline import Cancelled, deadline
from rag.providers.deadline_transport import bounded
from rag.tests.slow_server import SlowServer, running
from rag.tests.timing import cancelled_after, seconds_until, settled

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


@pytest.fixture(scope="module")
def server() -> Iterator[SlowServer]:
    with running(SlowServer(answers=ANSWERS)) as known:
        yield known


def client(vendor: Vendor, server: SlowServer) -> Any:
    url = f"http://127.0.0.1:{server.port}{vendor.path}"
    return vendor.make(Endpoint(vendor.name, url, "test-key", "simulated", 30.0))


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


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

    for n in range(200):
        with cancelled_after(0.004), pytest.raises(Cancelled):
            provider.send(vendor.request(FAULTS[n % len(FAULTS)]))

    provider.send(vendor.request("m"))
    assert threading.active_count() <= threads  # what an earlier test had left may end meanwhile
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
