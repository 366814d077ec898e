"""What many want at the same time is made once.

In a process the first to come leads and the others wait until it says so. Of the leaders of several processes one gets the
lock in the cache, and the others wait until they find what it made. Nobody waits longer than PATIENCE_S: leaders may be killed.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from django.core.cache import caches

from rag.providers.deadline import remaining

PATIENCE_S = 10.0
LOOK_EVERY_S = 0.025
T = TypeVar("T")
_lock = threading.Lock()
_flying: dict[str, "Flight[Any]"] = {}


class Flight(Generic[T]):
    """`found` is what is there already; without it whoever boarded has to make it, and calls `land` for those who wait."""

    def __init__(self, found: T | None = None) -> None:
        self.found = found
        self._landed = threading.Event()

    def land(self, made: T | None) -> None:
        """`made` is what those who wait will find; None: they must see for themselves."""
        if not self._landed.is_set():
            self.found = made
            self._landed.set()

    def awaited(self) -> T | None:
        self._landed.wait(patience())
        return self.found if self._landed.is_set() else None


@contextmanager
def boarded(key: str, find: Callable[[], T | None]) -> Iterator[Flight[T]]:
    """The flight of that key. `find` looks where leaders of all processes leave what they made."""
    with _lock:
        flight: Flight[T] | None = _flying.get(key)
        leads = flight is None
        if flight is None:
            flight = _flying[key] = Flight()
    if not leads:
        yield Flight(flight.awaited())
        return
    locked = bool(caches["answers"].add(lock_of(key), 1, timeout=PATIENCE_S))
    try:
        flight.found = find() if locked else from_elsewhere(key, find)
        yield flight
    finally:
        with _lock:
            del _flying[key]
        flight.land(flight.found)
        if locked:
            caches["answers"].delete(lock_of(key))


def from_elsewhere(key: str, find: Callable[[], T | None]) -> T | None:
    """What another process is making; None when it gave up, or takes too long."""
    ends = time.monotonic() + patience()
    while time.monotonic() < ends:
        given_up = caches["answers"].get(lock_of(key)) is None
        found = find()
        if found is not None or given_up:
            return found
        time.sleep(LOOK_EVERY_S)
    return None


def patience() -> float:
    left = remaining()
    return PATIENCE_S if left is None else min(PATIENCE_S, left)


def lock_of(key: str) -> str:
    return f"flight:{key}"
