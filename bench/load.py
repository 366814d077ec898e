"""`python -m bench.load`: the whole service under load, from the TLS of nginx to PostgreSQL, Redis, Chroma and the providers.

Starts `manage.py service` on a data folder of its own, with a sandbox whose embedder costs next to nothing, and a seeded corpus
(bench/ingest.py) of `--chunks` chunks. Closed loop: so many clients, each of which asks again as soon as it has its answer.
Yardsticks in the same run: `/api/bare`, a view that returns a constant, and `/api/constant`, the same with our authentication.
A shared machine is now fast and now slow, so the bare view is asked for a second after each row: the last column says how many
bare views of that moment the web CPU of one request is.

Needs nothing that runs already: PostgreSQL, redis-server and nginx have to be installed. CPU is user + system time of the web
processes.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import count, product
from pathlib import Path

import aiohttp

from bench.ask import cpu_ms
from bench.footprint import additions_s, boot_s, memory_mb, pss_mb, tree
from bench.serving import ROOT
from bench.whole_service import Service, service
from rag.modules import find_module

ASK = "/api/ask"
YARDSTICKS = {"bare": "/api/bare", "constant": "/api/constant"}
MODULE = "m6-production"
OTHERS = ("m2-chunking", "m3-hybrid")
FEW = 8
"""the most in parallel for which the other modules are measured, too"""
GENERATE_MS = 1900
BARE_S = 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One closed loop: its seconds, web CPU in milliseconds, and of each answer the milliseconds to its end and first word."""

    seconds: float
    cpu_ms: float
    walls: tuple[float, ...]
    first_words: tuple[float, ...] = ()

    @property
    def rate(self) -> float:
        return len(self.walls) / self.seconds

    @property
    def cpu_each(self) -> float:
        return self.cpu_ms / len(self.walls)

    def row(self, name: str, parallel: int, bare: "Measured") -> str:
        p50, p95, p99 = (statistics.quantiles(self.walls, n=100)[n - 1] for n in (50, 95, 99))
        first = f"{statistics.median(self.first_words):.1f}" if self.first_words else ""
        cpu = f"{self.cpu_each:.2f} | {self.cpu_each / bare.cpu_each:.1f}"
        return (
            f"| {name} | {parallel} | {len(self.walls)} | {self.rate:.1f} "
            f"| {p50:.1f} | {p95:.1f} | {p99:.1f} | {first} | {cpu} |"
        )


async def loop(
    parallel: int, seconds: float, ask: Callable[[], Awaitable[float | None]], ramp_s: float
) -> tuple[list[float], list[float]]:
    """Every client asks again and again until the time is over, and ends the answer that it is at.

    They begin one after the other within `ramp_s`, and what is begun by then is not counted.
    """
    walls: list[float] = []
    first_words: list[float] = []

    async def client(number: int) -> None:
        await asyncio.sleep(ramp_s * number / parallel)
        ended = 0.0
        while ended < starts + seconds:
            begun, first, ended = time.perf_counter(), await ask(), time.perf_counter()
            if begun < starts:
                continue
            walls.append((ended - begun) * 1000)
            if first is not None:
                first_words.append((first - begun) * 1000)

    starts = time.perf_counter() + ramp_s
    await asyncio.gather(*map(client, range(parallel)))
    return walls, first_words


async def whole(
    session: aiohttp.ClientSession, path: str, body: Callable[[], dict[str, object]], headers: Mapping[str, str]
) -> None:
    async with session.post(path, json=body(), headers=headers) as response:
        text = await response.text()
        if response.status != 200:
            raise SystemExit(f"{path} answered {response.status}: {text[:500]}")


async def streamed(
    session: aiohttp.ClientSession, body: Callable[[], dict[str, object]], headers: Mapping[str, str]
) -> float:
    """The moment of the first piece of the answer."""
    first, last = 0.0, b""
    async with session.post(ASK, json=body() | {"stream": True}, headers=headers) as response:
        async for line in response.content:
            if line.startswith(b"event: "):
                last = line
                first = first or (time.perf_counter() if b"delta" in line else 0.0)
    if not last.startswith(b"event: done"):
        raise SystemExit(f"a stream ended with {last!r}")
    return first


async def kept(at: Service) -> str:
    """A question that the answer cache keeps: what the sources do not answer is not kept."""
    auth = {"Authorization": f"Bearer {at.key}"}
    async with aiohttp.ClientSession(at.url, connector=aiohttp.TCPConnector(ssl=False), headers=auth) as session:
        for question in at.questions:
            for _ in range(2):
                async with session.post(ASK, json={"question": question, "corpus": "bench"}) as response:
                    answer = await response.json()
            if answer["cache"]["answer"] == "hit":
                return question
    raise SystemExit("no question has an answer that is kept")


async def measured(
    at: Service, parallel: int, seconds: float, kind: str, module: str = MODULE, ramp_s: float = 0.0
) -> Measured:
    asked = count()
    questions = (await kept(at),) if kind == "cached" else at.questions

    def body() -> dict[str, object]:
        return {"question": questions[next(asked) % len(questions)], "corpus": "bench", "module": module}

    headers = {"Cache-Control": "no-cache"} if kind in ("uncached", "streamed") else {}
    connector = aiohttp.TCPConnector(limit=0, ssl=False)
    auth = {"Authorization": f"Bearer {at.key}"}
    async with aiohttp.ClientSession(at.url, connector=connector, headers=auth) as session:
        path = YARDSTICKS.get(kind, ASK)
        ask = (
            partial(streamed, session, body, headers)
            if kind == "streamed"
            else partial(whole, session, path, body, headers)
        )
        await asyncio.gather(*(ask() for _ in range(parallel)))  # connections, imports, caches
        clients = asyncio.create_task(loop(parallel, seconds, ask, ramp_s))
        await asyncio.sleep(ramp_s)
        before, begun = sum(map(cpu_ms, at.web_processes())), time.perf_counter()
        walls, first_words = await clients
        took = time.perf_counter() - begun
        return Measured(took, sum(map(cpu_ms, at.web_processes())) - before, tuple(walls), tuple(first_words))


def told(at: Service, kind: str, parallel: int, seconds: float, module: str = "", pace_ms: int = 0) -> Measured:
    """What was measured, printed beside what a bare view takes right after it. At a pace users come one after the other."""
    more = f", {pace_ms} ms" if pace_ms else ""
    found = asyncio.run(measured(at, parallel, seconds, kind, module or MODULE, ramp_s=pace_ms / 1000))
    bare = asyncio.run(measured(at, 1, BARE_S, "bare"))
    print(found.row(f"{kind}{more}, {module}" if module else kind, parallel, bare), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each loop")
    parser.add_argument("--parallel", default="1,8,32,128")
    parser.add_argument("--kinds", default="bare,constant,cached,uncached,streamed")
    parser.add_argument(
        "--slow", type=int, default=100, help=f"asks in flight with {GENERATE_MS} ms a generation; 0: not measured"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and what was started here is stopped as well
    print(f"ten million additions: {additions_s():.2f} s")
    with service(options.chunks, find_module(MODULE).chunker) as at:
        print(f"start of a web worker until it answers: {boot_s(at.environment):.1f} s")
        print(f"retrieval, {MODULE}: {retrieval(at)}\n")
        print(
            "| request | parallel | n | a second | p50 ms | p95 ms | p99 ms | first word p50 ms | web CPU ms | bare views |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for kind in options.kinds.split(","):
            for parallel in map(int, options.parallel.split(",")):
                told(at, kind, parallel, options.seconds)
                for module in OTHERS if kind == "uncached" and parallel <= FEW else ():
                    told(at, kind, parallel, options.seconds, module)
        slow: list[tuple[str, str, float, float]] = []
        if options.slow:
            at.pace(GENERATE_MS)
            for kind, module in product(("uncached", "streamed"), ("m3-hybrid", MODULE)):
                since = datetime.now(UTC)
                found = told(at, kind, options.slow, options.seconds, module, GENERATE_MS)
                slow.append((kind, module, statistics.median(found.walls), providers_ms(at, since)))
            for kind, module, wall, own in slow:
                print(f"{kind}, {module}: p50 {wall:,.0f} ms; the providers' own {own:,.0f} ms; {wall / own - 1:+.1%}")
        parts = memory_mb(at.environment) | {name: sum(map(pss_mb, tree(pid))) for name, pid in at.servers.items()}
        memory = ", ".join(f"{name} {used:.0f}" for name, used in parts.items())
        print(f"\nmemory in MB (proportional): {memory}; together {sum(parts.values()):,.0f}")
    print(f"ten million additions: {additions_s():.2f} s")


def providers_ms(at: Service, since: datetime) -> float:
    """Of the questions since then: what the calls of providers took in each, at the median."""
    folder = Path(at.environment["DATA_DIR"]) / "traces"
    lines = [json.loads(line) for path in folder.glob("????-??-??.jsonl") for line in path.open()]
    asked = [line for line in lines if line["status"] == 200 and datetime.fromisoformat(line["timestamp"]) >= since]
    return float(statistics.median(sum(attempt["latency_ms"] for attempt in line["attempts"]) for line in asked))


def retrieval(at: Service) -> str:
    file = Path(at.environment["DATA_DIR"]) / "questions.json"
    file.write_text(json.dumps(at.questions))
    command = [sys.executable, "-m", "bench.retrieval", str(file), MODULE]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **at.environment}, check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    return f"p50 {found['p50']:.1f} ms, p95 {found['p95']:.1f} ms ({found['n']} questions, one at a time)"


if __name__ == "__main__":
    main()
