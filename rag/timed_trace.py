"""A trace that also remembers when each of its steps ran, for those who draw it on a line of time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import NamedTuple

from rag.trace import Trace


class Step(NamedTuple):
    """Seconds since the trace began."""

    name: str
    began: float
    ended: float


@dataclass
class TimedTrace(Trace):
    """`traceparent`: the span of the caller that the request belongs to, as W3C Trace Context writes it; empty: none."""

    traceparent: str = ""
    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = perf_counter()
        try:
            with super().step(name):
                yield
        finally:
            self.steps.append(Step(name, began - self._started, perf_counter() - self._started))
