"""The checking child: `python -m completion.examining_child LIMITS SIZE`, PDF and then certificates on stdin, JSON on stdout.

The object is an `Examination`, or holds a `problem` with the certificates. Anything else that goes wrong ends the process.
"""

import json
import logging
import resource
import sys
from dataclasses import asdict
from typing import Any

from completion.verification import examine


def main(limits: dict[str, int], size: int) -> None:
    logging.disable()
    confine(limits)
    data = sys.stdin.buffer.read()
    json.dump(answer(data[:size], data[size:].decode()), sys.stdout)


def answer(pdf: bytes, certificates_pem: str) -> dict[str, Any]:
    try:
        return asdict(examine(pdf, certificates_pem))
    except ValueError as error:
        return {"problem": str(error)}


def confine(limits: dict[str, int]) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (limits["seconds"], limits["seconds"] + 1))
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limits["memory_bytes"], limits["memory_bytes"]))
    except (OSError, ValueError):
        if sys.platform != "darwin":  # which has no bound on the address space; there the time limits alone hold
            raise


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]))
