"""Checking a stranger's PDF in a process of its own: whatever is in it, it costs so much time and memory and no more."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import completion
from completion.verification import Examination, Verdict

_ROOT = Path(completion.__file__).parent.parent
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
"""The child gets none of the other variables: among them are the keys of the providers."""
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """`seconds` bounds both wall-clock and processor time. An artifact has some 100 kB."""

    max_bytes: int = 4 * MEBIBYTE
    seconds: int = 10
    memory_bytes: int = 768 * MEBIBYTE


LIMITS = Limits()


class CannotExamine(Exception):
    """The file is beyond the limits, or stopped the program that checks it; the message says so."""


def examine_apart(pdf: bytes, certificates_pem: str, *, limits: Limits = LIMITS) -> Examination:
    """As `verification.examine`. Raises CannotExamine, and ValueError when there is no certificate in `certificates_pem`."""
    if len(pdf) > limits.max_bytes:
        raise CannotExamine(f"The file is larger than {limits.max_bytes // MEBIBYTE} MB: no artifact is.")
    command = [sys.executable, "-m", "completion.examining_child", json.dumps(asdict(limits)), str(len(pdf))]
    try:
        child = subprocess.run(
            command,
            input=pdf + certificates_pem.encode(),
            capture_output=True,
            cwd=_ROOT,
            env={name: os.environ[name] for name in _INHERITED if name in os.environ},
            timeout=limits.seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise CannotExamine(f"The file takes longer than {limits.seconds} s to check: it is no artifact.") from error
    if child.returncode:
        raise CannotExamine(ending(child.returncode, child.stderr.decode("utf-8", "replace"), limits))
    told = json.loads(child.stdout)
    if "problem" in told:
        raise ValueError(told["problem"])
    return Examination(**(told | {"verdict": Verdict(told["verdict"])}))


def ending(returncode: int, errors: str, limits: Limits) -> str:
    if returncode == -signal.SIGXCPU:
        return f"The file takes more than {limits.seconds} s of processor time to check: it is no artifact."
    if "MemoryError" in errors:
        return f"The file takes more than {limits.memory_bytes // MEBIBYTE} MB of memory to check: it is no artifact."
    return "The file stopped the program that checks it: it is no artifact."
