"""What a service takes: the memory of its processes, and how long a web worker needs until it can answer."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.serving import ROOT, manage

BOOT = "from ragsite.wsgi import application; from rag import wiring; wiring.warm_up()"
"""what a gunicorn worker does before it answers"""


def memory_mb(environment: Mapping[str, str]) -> dict[str, float]:
    """Proportional set size of each part with its children: pages that processes share count once."""
    parts = json.loads(manage("status", "--json", environment=environment))["parts"]
    return {name: sum(map(pss_mb, tree(part["pid"]))) for name, part in parts.items()}


def tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from tree(int(child))


def pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


def boot_s(environment: Mapping[str, str]) -> float:
    """From nothing to a web worker that can answer: interpreter, settings, models, SDKs and their clients."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", BOOT], cwd=ROOT, env={**os.environ, **environment}, check=True)
    return time.perf_counter() - begun


def additions_s() -> float:
    """Ten million additions: by this a reader compares machines, and hours of a shared one."""
    begun, total = time.process_time(), 0
    for number in range(10_000_000):
        total += number
    return time.process_time() - begun
