"""The only place that reads the clock."""

from datetime import UTC, datetime, timedelta

_ahead = timedelta(0)


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC) + _ahead


def advance(by: timedelta) -> None:
    """Let this process's clock run ahead: for simulations, which cannot wait an hour."""
    global _ahead
    _ahead += by
