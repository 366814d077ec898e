"""The one clock of the sandbox: prompt-cache lifetimes, prices and bill entries read it, tests move it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """Seconds since the epoch, plus whatever was added by `advance`. It never goes back."""

    def __init__(self, *, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._offset = 0.0

    def now(self) -> float:
        return self._source() + self._offset

    def moment(self) -> datetime:
        """The same instant as an aware UTC datetime."""
        return datetime.fromtimestamp(self.now(), tz=UTC)

    def advance(self, seconds: float) -> None:
        """Move forward. Raises ValueError for a negative number."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self._offset += seconds
