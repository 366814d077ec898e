"""One log line a record, for people (`LineFormatter`) or for programs (`JsonFormatter`); which one, LOG_FORMAT says.

What strangers wrote cannot begin a line of its own, and no secret of the settings is written. While a question is being
answered every record carries its trace id, whichever logger wrote it (`under`, `TraceIds`).
"""

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from pythonjsonlogger import json as json_logging

from ragsite.secrets import masked

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "request",
    "server_time",
    "data",
}


CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")

_trace_id: ContextVar[str] = ContextVar("trace_id", default="")


@contextmanager
def under(trace_id: str) -> Iterator[None]:
    """What is logged in the block belongs to this trace; a thread started in it has to be run by `copy_context().run`."""
    token = _trace_id.set(trace_id)
    try:
        yield
    finally:
        _trace_id.reset(token)


class TraceIds(logging.Filter):
    """Lets every record pass, with the id of the trace that it belongs to. One that the record brings along stays."""

    def filter(self, record: logging.LogRecord) -> bool:
        trace_id = _trace_id.get()
        if trace_id and not hasattr(record, "trace_id"):
            record.trace_id = trace_id
        return True


class LineFormatter(logging.Formatter):
    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        extra = " ".join(f"{key}={value}" for key, value in vars(record).items() if key not in STANDARD)
        line = super().formatMessage(record)
        return one_line(f"{line} {extra}" if extra else line)

    def formatException(self, ei: Any) -> str:
        """Indented, so that a line of it that looks like a record is none."""
        return "\n".join(f"  {one_line(line)}" for line in super().formatException(ei).split("\n"))

    def formatStack(self, stack_info: str) -> str:
        return "\n".join(f"  {one_line(line)}" for line in stack_info.split("\n"))

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def one_line(text: str) -> str:
    """With control characters as they are written in Python: `\\n` for a line's end."""
    return CONTROL.sub(lambda found: repr(found.group())[1:-1], text)


class JsonFormatter(json_logging.JsonFormatter):
    """One JSON object a line, in ASCII: `time` (UTC), `level`, `logger`, `message`, `process`, where there is one `exception`,
    and what stands in `extra`, `trace_id` among it.
    """

    converter = staticmethod(time.gmtime)
    default_time_format = LineFormatter.default_time_format
    default_msec_format = LineFormatter.default_msec_format

    def __init__(self) -> None:
        super().__init__(
            ["asctime", "levelname", "name", "message", "process"],
            rename_fields={
                "asctime": "time",
                "levelname": "level",
                "name": "logger",
                "exc_info": "exception",
                "stack_info": "stack",
            },
            reserved_attrs=sorted(STANDARD),
        )

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Masked before it is written as JSON: there a quote inside a secret would hide it."""
        return {name: harmless(value) for name, value in log_data.items()}


def harmless(value: Any) -> Any:
    """The value as JSON can say it, without secrets. Gunicorn's arbiter writes without settings: it knows none."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return masked(str(value)) if settings.configured else str(value)
