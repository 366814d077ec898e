"""`python -m bench.ask`: what one uncached `/api/ask` costs the web process, one at a time.

Starts the web process (gunicorn, DEBUG off, no rate limit) beside the Chroma server and the sandbox of a running `make run`,
on the same data. Every question is asked once to warm the sandbox's models (its own time is not what is measured), then again
several times. CPU is user + system time of the web process and its threads, from the operating system's accounting. For
scale the same run measures `/healthz` on the same server.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import httpx

from bench.serving import DATASET, api_key, environment, web
from evals.questions import load_questions

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_ms(pid: int) -> float:
    """User + system time of a process so far, in milliseconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / TICKS


def rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measured(pid: int, requests: Sequence[Callable[[], httpx.Response]]) -> tuple[float, list[float]]:
    """CPU milliseconds a request, and the wall milliseconds of each."""
    before, walls = cpu_ms(pid), []
    for request in requests:
        started = time.perf_counter()
        request().raise_for_status()
        walls.append((time.perf_counter() - started) * 1000)
    return (cpu_ms(pid) - before) / len(requests), walls


def row(name: str, cpu: float, walls: list[float]) -> str:
    p50, p95 = statistics.median(walls), statistics.quantiles(walls, n=20)[-1]
    return f"| {name} | {len(walls)} | {cpu:.2f} | {p50:.1f} | {p95:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--modules", default="m1-baseline,m3-hybrid,m4-transform,m6-production")
    options = parser.parse_args()
    questions = [question.question for question in load_questions(DATASET)]
    with web(environment()) as (url, pid), httpx.Client(base_url=url, timeout=60) as client:
        client.headers["Authorization"] = f"Bearer {api_key()}"
        client.headers["Cache-Control"] = "no-cache"
        print(f"web worker at rest: {rss_mb(pid):.0f} MB RSS\n")
        print("| request | n | web CPU ms | wall p50 ms | wall p95 ms |\n| --- | --- | --- | --- | --- |")
        print(row("/healthz", *measured(pid, [partial(client.get, "/healthz")] * 500)))
        for module in options.modules.split(","):
            bodies = [{"question": question, "corpus": "django", "module": module} for question in questions]
            asks = [partial(client.post, "/api/ask", json=body) for body in bodies]
            measured(pid, asks)
            print(row(f"/api/ask {module}", *measured(pid, asks * options.rounds)), flush=True)
        print(f"\nweb worker afterwards: {rss_mb(pid):.0f} MB RSS")


if __name__ == "__main__":
    main()
