"""One deadline for all that a block of code does on the network, which another thread may also cancel.

    with deadline(15.0) as limit:  # `limit.cancel` may be handed to another thread
        client.messages.create(...)

Clients obey once `rag.providers.deadline_transport.bounded` has been at them. What they raise then is their own time-out
with the message of DeadlineExceeded; a cancelled call raises Cancelled through every layer.

The deadline is a context variable: a thread started inside the block obeys it only when it is run by
`contextvars.copy_context().run`. Do not hold the block open across a `yield`: its caller would be bound as well.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from costs.usage import Usage

PASSED = "the deadline of the whole call has passed"


class DeadlineExceeded(TimeoutError):
    """The time for everything in the block is over."""


class Cancelled(BaseException):
    """Another thread ended the call.

    Not an Exception, as in asyncio: the SDKs wrap every Exception as a failure of the wire, and this is none.
    """

    usage: Usage | None = None
    """What the call cost until then, as far as it said."""
    request_id: str = ""


class Deadline:
    """Made by `deadline(...)`. Safe to use from any thread."""

    def __init__(self, seconds: float, *, now: Callable[[], float], outer: "Deadline | None") -> None:
        self._now = now
        self._ends = now() + (seconds if outer is None else min(seconds, outer.remaining()))
        self._lock = threading.Lock()
        self._cancelled = False
        self._waiting: set[socket.socket] = set()
        self._levels: tuple[Deadline, ...] = (self, *(outer._levels if outer else ()))

    def remaining(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self._ends - self._now())

    def cancel(self) -> None:
        """End every network operation inside the block at once, and refuse new ones."""
        with self._lock:
            self._cancelled = True
            for sock in self._waiting:
                with suppress(OSError):  # not connected yet, or already gone
                    sock.shutdown(socket.SHUT_RDWR)  # wakes the waiting thread; close would not

    def check(self) -> None:
        """Raise Cancelled or DeadlineExceeded when there is no point in going on."""
        self._refuse_if_cancelled()
        self._time_left()

    @contextmanager
    def guarding(self, sock: socket.socket, *, timeout: float | None) -> Iterator[None]:
        left = self._time_left()
        allowed = left if timeout is None else min(timeout, left)
        sock.settimeout(allowed)
        try:
            self._enter(sock)
            yield
        except OSError as error:
            self._refuse_if_cancelled()
            if isinstance(error, TimeoutError) and allowed == left:
                raise DeadlineExceeded(PASSED) from error
            raise
        finally:
            self._leave(sock)
        self._refuse_if_cancelled()

    def _time_left(self) -> float:
        left = self.remaining()
        if not left:
            raise DeadlineExceeded(PASSED)
        return left

    def _enter(self, sock: socket.socket) -> None:
        for level in self._levels:
            with level._lock:
                level._waiting.add(sock)
        self._refuse_if_cancelled()

    def _leave(self, sock: socket.socket) -> None:
        for level in self._levels:
            with level._lock:
                level._waiting.discard(sock)

    def _refuse_if_cancelled(self) -> None:
        if any(level._cancelled for level in self._levels):
            raise Cancelled


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def deadline(seconds: float, *, now: Callable[[], float] = time.monotonic) -> Iterator[Deadline]:
    """Bound everything in the block. Inside another deadline the earlier one wins, and cancelling the outer one ends both."""
    limit = Deadline(seconds, now=now, outer=_current.get())
    token = _current.set(limit)
    try:
        yield limit
    finally:
        _current.reset(token)


def remaining() -> float | None:
    """Seconds left for the code that asks, never below 0; None without a deadline."""
    limit = _current.get()
    return None if limit is None else limit.remaining()


@contextmanager
def guarded(sock: socket.socket, *, timeout: float | None) -> Iterator[None]:
    """Run ONE blocking operation on a plain `sock` within its own time-out and the deadline.

    Raises DeadlineExceeded, Cancelled, and what the operation raises. Without a deadline only the time-out holds.
    """
    limit = _current.get()
    if limit is None:
        sock.settimeout(timeout)
        yield
    else:
        with limit.guarding(sock, timeout=timeout):
            yield
