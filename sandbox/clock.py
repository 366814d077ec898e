"""The one clock of the sandbox: prompt-cache lifetimes and prices read it, simulations and tests move it.

The bill is dated by the time that it is, unless it is moved along: who simulates hours would date it into days to come.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """Seconds since the epoch, plus whatever was added by `advance`. Neither of its times goes back."""

    def __init__(self, *, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._offset = self._bill_offset = 0.0

    def now(self) -> float:
        return self._source() + self._offset

    def moment(self) -> datetime:
        """The same instant as an aware UTC datetime."""
        return datetime.fromtimestamp(self.now(), tz=UTC)

    def bill_moment(self) -> datetime:
        """When an answer of now was billed."""
        return datetime.fromtimestamp(self._source() + self._bill_offset, tz=UTC)

    def advance(self, seconds: float, *, bill: bool = False) -> None:
        """Move forward, with `bill` its time as well. Raises ValueError for a negative number."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self._offset += seconds
        self._bill_offset += seconds * bill
