"""One log line a record: time, level, logger, message, then whatever stands in `extra` as key=value.

What strangers wrote cannot begin a line of its own, and no secret of the settings is written.
"""

import logging
import re
import time
from typing import Any

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
