"""The parsing child: `python -m rag.reading.child FORMAT LIMITS`, the file on stdin, a JSON object on stdout.

The object holds `text` and `title`, or the `reason` why there is none. Anything else that goes wrong ends the process
with a traceback or a signal, for the parent to put into words. It must not import Django.
"""

import json
import logging
import math
import resource
import sys
from collections.abc import Callable
from importlib import import_module

from rag.reading.errors import UnreadableContent
from rag.reading.limits import ReadingLimits

Reader = Callable[[bytes, ReadingLimits], tuple[str, str | None]]

READERS = {"docx": "rag.reading.from_docx", "html": "rag.reading.from_html", "pdf": "rag.reading.from_pdf"}
"""Modules with a `read`. Only the one that is needed is imported: that halves the time of a child."""


def main(format_name: str, limits: ReadingLimits) -> None:
    logging.disable()
    _confine(limits)
    read: Reader = import_module(READERS[format_name]).read
    json.dump(_answer(read, sys.stdin.buffer.read(), limits), sys.stdout)


def _answer(read: Reader, content: bytes, limits: ReadingLimits) -> dict[str, str | None]:
    try:
        text, title = read(content, limits)
    except UnreadableContent as error:
        return {"reason": error.reason}
    if len(text) > limits.max_characters:
        return {"reason": f"holds {len(text):,} characters; the limit is {limits.max_characters:,}: split it"}
    return {"text": text, "title": title}


def _confine(limits: ReadingLimits) -> None:
    seconds = math.ceil(limits.seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    except (OSError, ValueError):
        # macOS has no bound on the address space; there the time limits alone hold.
        if sys.platform != "darwin":
            raise


if __name__ == "__main__":
    main(sys.argv[1], ReadingLimits(**json.loads(sys.argv[2])))
