"""Deadlines by the clock, and what a bounded client does with them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import httpx
import httpx2
import pytest

from rag.providers.deadline import Cancelled, DeadlineExceeded, deadline, remaining
from rag.providers.deadline_transport import bounded
from rag.tests.slow_server import SlowServer, running
from rag.tests.timing import Clock, seconds_until

LATE_S = 0.2


@pytest.fixture(scope="module")
def server() -> Iterator[SlowServer]:
    with running(SlowServer(answers={"/": {}})) as known:
        yield known


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


def test_a_timeout_says_that_it_was_the_deadline(server: SlowServer) -> None:
    made = bounded(httpx.Client(timeout=30))

    with deadline(0.05), pytest.raises(httpx.ReadTimeout, match="the deadline of the whole call has passed"):
        made.post(f"http://127.0.0.1:{server.port}/", json={"model": "stall"})


def test_the_clients_own_timeout_still_holds(server: SlowServer) -> None:
    made = bounded(httpx.Client(timeout=0.05))

    def ask() -> None:
        made.post(f"http://127.0.0.1:{server.port}/", json={"model": "stall"})

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
