"""A clock that is moved by hand, and measures of the real one."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from rag.providers.deadline import deadline


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def seconds_until(error: Any, call: Callable[[], Any]) -> float:
    """How long the call took to raise the error."""
    started = time.monotonic()
    with pytest.raises(error):
        call()
    return time.monotonic() - started


@contextmanager
def cancelled_after(seconds: float) -> Iterator[None]:
    """Another thread cancels the block."""
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
