"""Parsing in a process of its own, so that a hostile file ends that process and not the worker."""

import json
import math
import os
import re
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import rag
from rag.reading.errors import UnreadableContent
from rag.reading.limits import ReadingLimits, megabytes

_RAISED = re.compile(r"[\w.]+(?:Error|Exception|Warning|Exit)\b")
_ROOT = Path(rag.__file__).parent.parent
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
"""The child gets none of the other variables: among them are the keys of the providers."""


@dataclass(frozen=True, slots=True)
class Extract:
    """What a parser made of a file. `title` is None where the format has no place for one."""

    text: str
    title: str | None


def parse_apart(*, format_name: str, content: bytes, limits: ReadingLimits) -> Extract:
    """Text of an `html`, `pdf` or `docx` file. Every way in which the child can fail raises UnreadableContent."""
    command = [sys.executable, "-m", "rag.reading.child", format_name, json.dumps(asdict(limits))]
    try:
        child = subprocess.run(
            command, input=content, capture_output=True, cwd=_ROOT, env=_environment(), timeout=limits.seconds
        )
    except subprocess.TimeoutExpired as error:
        raise UnreadableContent(f"took longer than {limits.seconds:g} s to parse") from error
    if child.returncode != 0:
        raise UnreadableContent(_reason(child.returncode, child.stderr.decode("utf-8", "replace"), limits))
    answer = json.loads(child.stdout)
    if "reason" in answer:
        raise UnreadableContent(answer["reason"])
    return Extract(text=answer["text"], title=answer["title"])


def _environment() -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | {"PYTHONIOENCODING": "utf-8"}


def _reason(returncode: int, stderr: str, limits: ReadingLimits) -> str:
    """The child's end in words: a signal, or what its traceback says was raised."""
    last = next((line for line in reversed(stderr.splitlines()) if _RAISED.match(line)), "")
    if returncode == -signal.SIGXCPU:
        return f"took more than {math.ceil(limits.seconds)} s of processor time to parse"
    if returncode < 0:
        return f"made its parser crash ({signal.Signals(-returncode).name})"
    if "MemoryError" in stderr:
        return f"needs more than {megabytes(limits.memory_bytes)} of memory to parse"
    if last.startswith("RecursionError"):
        return "is nested too deeply to parse"
    return f"cannot be parsed: {last[:300] or 'the parser stopped without a word'}"
