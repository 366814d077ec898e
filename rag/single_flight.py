"""The same question asked many times at once is answered once.

In a process the first to come leads and the others wait for it. Of the leaders of several processes one gets the lock in the
cache, and the others wait for its answer to appear there. Nobody waits longer than PATIENCE_S: a leader may be killed.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.core.cache import caches

from rag import answers
from rag.answers import Kept
from rag.providers.deadline import remaining

PATIENCE_S = 10.0
LOOK_EVERY_S = 0.025
_lock = threading.Lock()
_flying: dict[str, "Flight"] = {}


@dataclass(slots=True)
class Flight:
    """`kept` is there for those who waited, also when it is not one that the cache keeps."""

    kept: Kept | None = None
    landed: threading.Event = field(default_factory=threading.Event)


@contextmanager
def boarded(key: str) -> Iterator[Flight]:
    """The flight of that key. With `kept` the answer is there; without it whoever boarded makes it, and may leave it there."""
    with _lock:
        flight = _flying.get(key)
        leads = flight is None
        if flight is None:
            flight = _flying[key] = Flight()
    if not leads:
        flight.landed.wait(patience())
        yield Flight(flight.kept)
        return
    locked = bool(caches["answers"].add(lock_of(key), 1, timeout=PATIENCE_S))
    try:
        flight.kept = answers.fresh(key) if locked else from_elsewhere(key)
        yield flight
    finally:
        with _lock:
            del _flying[key]
        flight.landed.set()
        if locked:
            caches["answers"].delete(lock_of(key))


def from_elsewhere(key: str) -> Kept | None:
    """The answer that another process is making; None when it gave up, or takes too long."""
    ends = time.monotonic() + patience()
    while time.monotonic() < ends and caches["answers"].get(lock_of(key)) is not None:
        time.sleep(LOOK_EVERY_S)
    return answers.fresh(key)


def patience() -> float:
    left = remaining()
    return PATIENCE_S if left is None else min(PATIENCE_S, left)


def lock_of(key: str) -> str:
    return f"flight:{key}"
