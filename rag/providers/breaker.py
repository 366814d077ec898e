"""A circuit breaker: a provider that keeps failing is not asked for a while, so that it does not cost every user its time-out.

    closed ──`failures` in a row within `window_s`──> open ──after its time, one call──> half open
      ^                                                ^                                    │
      └────────────── the probe is answered ───────────┴── the probe fails: twice as long ──┘

Each process has its own breakers: with several web processes each has to find out for itself.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic

from rag.errors import (
    ProviderBusy,
    ProviderDown,
    ProviderError,
    ProviderMalformed,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from rag.providers.contracts import Provider, ReplyT, RequestT

DOWN = (ProviderBusy, ProviderUnavailable, ProviderTimeout, ProviderMalformed)
LOCKED_OUT = frozenset({401, 402, 403})  # a bad key or an empty purse fails every call alike


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """Seconds, and a count. The open time doubles with each failed probe up to `longest_open_s`.

    A probe that has not come back after `probe_s` is given up and another may go: set it above the longest call.
    """

    failures: int = 5
    window_s: float = 30.0
    open_s: float = 15.0
    longest_open_s: float = 120.0
    probe_s: float = 60.0


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Outcome(StrEnum):
    ANSWERED = "answered"
    FAILED = "failed"
    ABANDONED = "abandoned"
    """the caller went away: nothing is known about the provider"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`failures`: in a row within the window. `open_for_s`: since it first opened, None when closed. `probe_in_s`: likewise."""

    state: State
    failures: int
    open_for_s: float | None
    probe_in_s: float | None


class Refused(Exception):
    """Not now; the next probe may go in `retry_in_s`."""

    def __init__(self, retry_in_s: float) -> None:
        super().__init__(f"the breaker is open, next probe in {retry_in_s:.1f} s")
        self.retry_in_s = retry_in_s


class Breaker:
    """Thread-safe. `now` is a monotonic clock in seconds.

    Every admitted call carries a ticket back. A ticket is void once the state has changed since, so a call that was begun
    before the breaker opened cannot close it.
    """

    def __init__(self, policy: BreakerPolicy, now: Callable[[], float]) -> None:
        self._policy = policy
        self._now = now
        self._lock = threading.Lock()
        self._state = State.CLOSED
        self._ticket = 0
        self._failed_at: tuple[float, ...] = ()
        self._opened_at = 0.0
        self._open_s = policy.open_s
        self._probe_at = 0.0

    def admit(self) -> int:
        """A ticket for one call, to be handed to `report` whatever becomes of it; raises Refused."""
        with self._lock:
            if self._state is State.CLOSED:
                return self._ticket
            now = self._now()
            if now < self._probe_at:
                raise Refused(self._probe_at - now)
            self._enter(State.HALF_OPEN)
            self._probe_at = now + self._policy.probe_s
            return self._ticket

    def report(self, ticket: int, outcome: Outcome) -> None:
        """What became of the call."""
        with self._lock:
            if ticket != self._ticket:
                return
            now = self._now()
            if self._state is State.CLOSED:
                self._count(outcome, now)
            elif outcome is Outcome.ANSWERED:
                self._close()
            elif outcome is Outcome.FAILED:
                self._open_s = min(2 * self._open_s, self._policy.longest_open_s)
                self._open(now + self._open_s)
            else:
                self._open(now)

    def snapshot(self) -> Snapshot:
        with self._lock:
            now = self._now()
            failures = len(self._recent(now))
            if self._state is State.CLOSED:
                return Snapshot(self._state, failures, None, None)
            return Snapshot(self._state, failures, now - self._opened_at, max(0.0, self._probe_at - now))

    def _count(self, outcome: Outcome, now: float) -> None:
        if outcome is Outcome.ANSWERED:
            self._failed_at = ()
        elif outcome is Outcome.FAILED:
            self._failed_at = (*self._recent(now), now)
            if len(self._failed_at) >= self._policy.failures:
                self._opened_at = now
                self._open(now + self._open_s)

    def _recent(self, now: float) -> tuple[float, ...]:
        return tuple(at for at in self._failed_at if now - at < self._policy.window_s)

    def _open(self, probe_at: float) -> None:
        self._enter(State.OPEN)
        self._probe_at = probe_at

    def _close(self) -> None:
        self._enter(State.CLOSED)
        self._failed_at = ()
        self._open_s = self._policy.open_s

    def _enter(self, state: State) -> None:
        self._state = state
        self._ticket += 1


class Guarded(Generic[RequestT, ReplyT]):
    """A provider behind a breaker; raises ProviderDown, at once and without a call, while it is open.

    It belongs outside metering (a call that is not made costs nothing) and inside retrying.
    """

    def __init__(self, inner: Provider[RequestT, ReplyT], *, breaker: Breaker, provider: str) -> None:
        self._inner = inner
        self._breaker = breaker
        self._provider = provider

    def send(self, request: RequestT) -> ReplyT:
        try:
            ticket = self._breaker.admit()
        except Refused as refused:
            raise ProviderDown(
                f"{self._provider}: {refused}", provider=self._provider, retry_after_s=refused.retry_in_s
            ) from None
        outcome = Outcome.ABANDONED
        try:
            reply = self._inner.send(request)
            outcome = Outcome.ANSWERED
        except ProviderError as error:
            outcome = outcome_of(error)
            raise
        finally:
            self._breaker.report(ticket, outcome)
        return reply


def outcome_of(error: ProviderError) -> Outcome:
    """Whether the provider is down or busy. One that refuses the request itself is up."""
    locked_out = isinstance(error, ProviderRefused) and error.http_status in LOCKED_OUT
    return Outcome.FAILED if locked_out or isinstance(error, DOWN) else Outcome.ANSWERED
