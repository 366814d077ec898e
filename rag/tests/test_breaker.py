"""The breaker around a provider."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from costs.usage import Usage
from rag.errors import (
    ProviderBusy,
    ProviderDown,
    ProviderError,
    ProviderMalformed,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from rag.providers.breaker import Breaker, BreakerPolicy, Guarded, Outcome, Refused, Snapshot, State
from rag.providers.contracts import EmbedReply, EmbedRequest
from rag.providers.deadline import Cancelled
from rag.tests.timing import Clock

POLICY = BreakerPolicy(failures=3, window_s=30, open_s=10, longest_open_s=40, probe_s=20)
REQUEST = EmbedRequest("m", ("one",), "query", 2)
REPLY = EmbedReply(((0.5, 0.5),), Usage(), "")


@dataclass
class Scripted:
    """Raises what it is told to, or answers."""

    raises: BaseException | None = None
    calls: int = 0
    during: Callable[[], None] = field(default=lambda: None)

    def send(self, request: EmbedRequest) -> EmbedReply:
        self.calls += 1
        self.during()
        if self.raises is not None:
            raise self.raises
        return REPLY


@dataclass
class House:
    clock: Clock = field(default_factory=Clock)
    inner: Scripted = field(default_factory=Scripted)

    def __post_init__(self) -> None:
        self.breaker = Breaker(POLICY, self.clock)
        self.guarded = Guarded[EmbedRequest, EmbedReply](self.inner, breaker=self.breaker, provider="voyage")

    def send(self, raises: BaseException | None = None) -> BaseException | None:
        """What the call raised."""
        self.inner.raises = raises
        try:
            self.guarded.send(REQUEST)
        except (ProviderError, Cancelled) as error:
            return error
        return None

    def break_down(self) -> None:
        for _ in range(POLICY.failures):
            self.send(failure())

    @property
    def state(self) -> State:
        return self.breaker.snapshot().state


def failure(kind: type[ProviderError] = ProviderUnavailable, status: int | None = None) -> ProviderError:
    return kind("no", provider="voyage", http_status=status)


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize(
    "error",
    [
        failure(ProviderBusy, 429),
        failure(ProviderUnavailable),
        failure(ProviderTimeout),
        failure(ProviderMalformed),
        failure(ProviderRefused, 401),
        failure(ProviderRefused, 402),
        failure(ProviderRefused, 403),
    ],
    ids=lambda error: f"{error.code} {error.http_status}",
)
def test_it_opens_when_the_provider_fails_too_often(house: House, error: ProviderError) -> None:
    for _ in range(POLICY.failures):
        assert house.send(error) is error

    assert isinstance(house.send(), ProviderDown)
    assert house.inner.calls == POLICY.failures


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_it_stays_closed_when_the_request_is_refused(house: House, status: int) -> None:
    for _ in range(10):
        house.send(failure(ProviderRefused, status))

    assert house.state is State.CLOSED


def test_an_answer_in_between_starts_the_count_again(house: House) -> None:
    for raises in (failure(), failure(), None, failure(), failure()):
        house.send(raises)

    assert house.breaker.snapshot() == Snapshot(State.CLOSED, 2, None, None)


def test_failures_that_are_long_ago_do_not_count(house: House) -> None:
    for _ in range(10):
        house.send(failure())
        house.clock.advance(POLICY.window_s / 2)

    assert house.state is State.CLOSED


def test_a_refused_caller_learns_when_to_come_back(house: House) -> None:
    house.break_down()
    house.clock.advance(4)

    error = house.send()

    assert isinstance(error, ProviderDown)
    assert (error.retry_after_s, error.retryable, error.code) == (6, False, "provider_down")
    assert house.breaker.snapshot() == Snapshot(State.OPEN, POLICY.failures, 4, 6)


def test_a_probe_that_is_answered_closes_it(house: House) -> None:
    house.break_down()
    house.clock.advance(POLICY.open_s)

    assert house.send() is None
    assert house.breaker.snapshot() == Snapshot(State.CLOSED, 0, None, None)


def test_each_failed_probe_doubles_the_time_up_to_the_longest(house: House) -> None:
    house.break_down()
    times = []

    for _ in range(4):
        times.append(house.breaker.snapshot().probe_in_s)
        house.clock.advance(times[-1] or 0)
        house.send(failure())

    assert times == [10, 20, 40, 40]


def test_after_it_closed_the_time_is_short_again(house: House) -> None:
    house.break_down()
    house.clock.advance(10)
    house.send(failure())
    house.clock.advance(20)
    house.send()

    house.break_down()

    assert house.breaker.snapshot().probe_in_s == 10


def test_while_a_probe_is_under_way_the_others_are_refused(house: House) -> None:
    house.break_down()
    house.clock.advance(10)
    seen = []

    def others() -> None:
        with pytest.raises(Refused) as caught:
            house.breaker.admit()
        seen.append((house.state, caught.value.retry_in_s))

    house.inner.during = others
    house.send()

    assert seen == [(State.HALF_OPEN, POLICY.probe_s)]


@pytest.mark.parametrize("error", [Cancelled(), KeyboardInterrupt(), ZeroDivisionError()], ids=repr)
def test_a_probe_whose_caller_dies_leaves_the_place_to_the_next(house: House, error: BaseException) -> None:
    house.break_down()
    house.clock.advance(10)
    house.inner.raises = error

    with pytest.raises(type(error)):
        house.guarded.send(REQUEST)

    assert house.send() is None
    assert house.state is State.CLOSED


def test_a_probe_that_never_comes_back_is_given_up(house: House) -> None:
    house.break_down()
    house.clock.advance(10)
    lost = house.breaker.admit()
    house.clock.advance(POLICY.probe_s)

    taken_over = house.breaker.admit()
    states = []
    for ticket in (lost, taken_over):
        house.breaker.report(ticket, Outcome.ANSWERED)
        states.append(house.state)

    assert states == [State.HALF_OPEN, State.CLOSED]


def test_a_call_from_before_it_opened_cannot_close_it(house: House) -> None:
    early = house.breaker.admit()
    house.break_down()

    house.breaker.report(early, Outcome.ANSWERED)

    assert house.state is State.OPEN


def test_a_cancelled_call_says_nothing_about_the_provider(house: House) -> None:
    for raises in (failure(), failure(), Cancelled(), failure()):
        house.send(raises)

    assert house.state is State.OPEN


def test_of_many_threads_one_is_the_probe(house: House) -> None:
    house.break_down()
    house.clock.advance(10)
    start = threading.Barrier(8)

    def admitted(_: int) -> bool:
        start.wait()
        try:
            house.breaker.admit()
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(admitted, range(8))) == 1
