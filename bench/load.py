"""`python -m bench.load`: the whole service under load, from the TLS of nginx to PostgreSQL, Redis, Chroma and the providers.

Starts `manage.py service` on a data folder of its own, with a sandbox whose embedder costs next to nothing, and a seeded corpus
(bench/ingest.py) of `--chunks` chunks. Closed loop: so many clients, each of which asks again as soon as it has its answer.
The yardstick `/api/constant`, a bare view with the same authentication, is measured in the same run.

Needs nothing that runs already: PostgreSQL, redis-server and nginx have to be installed. CPU is user + system time of the web
processes.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import aiohttp
import httpx

from bench import own_servers
from bench.ask import cpu_ms
from bench.footprint import additions_s, boot_s, memory_mb, pss_mb, tree
from bench.ingest import write_corpus
from bench.own_servers import PostgreSQL, Redis
from bench.serving import ROOT, manage, started
from rag.modules import find_module
from ragsite import by_hand
from ragsite.processes import free_port

CONSTANT, ASK = "/api/constant", "/api/ask"
MODULE = "m6-production"
OTHERS = ("m2-chunking", "m3-hybrid")
FEW = 8
"""the most in parallel for which the other modules are measured, too"""
START_S = 180.0
CONNECTIONS = "-c max_connections=400"
"""one for each thread that answers, and one for each that streams"""
GENERATE_MS = 1900


@dataclass(frozen=True, slots=True)
class Service:
    url: str
    key: str
    sandbox: str
    environment: Mapping[str, str]
    questions: tuple[str, ...]
    servers: Mapping[str, int]
    """process ids of the database and of Redis"""

    def web_processes(self) -> tuple[int, ...]:
        parts = json.loads(manage("status", "--json", environment=self.environment))["parts"]
        children = Path(f"/proc/{parts['web']['pid']}/task/{parts['web']['pid']}/children").read_text().split()
        return tuple(map(int, children))

    def pace(self, generate_ms: float) -> None:
        httpx.post(f"{self.sandbox}/_control/latency", json={"generate_ms": generate_ms}).raise_for_status()


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

    def row(self, name: str, parallel: int) -> str:
        p50, p95, p99 = (statistics.quantiles(self.walls, n=100)[n - 1] for n in (50, 95, 99))
        first = f"{statistics.median(self.first_words):.1f}" if self.first_words else ""
        times = f"{p50:.1f} | {p95:.1f} | {p99:.1f} | {first}"
        return f"| {name} | {parallel} | {len(self.walls)} | {self.rate:.1f} | {times} | {self.cpu_ms / len(self.walls):.2f} |"


@contextmanager
def service(chunks: int) -> Iterator[Service]:
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder, sandbox_port, port = Path(place), free_port(0), free_port(0)
        folder.chmod(0o755)  # PostgreSQL is another user's, and has to come through
        sandbox_url = f"http://127.0.0.1:{sandbox_port}"
        postgresql, redis = stack.enter_context(servers(folder))
        environment = {
            "DATABASE_URL": postgresql.url,
            "REDIS_URL": redis.url,
            "DATA_DIR": str(folder / "data"),
            "SANDBOX_URL": sandbox_url,
            "ALLOW_SANDBOX": "true",
            "ASK_RATE": "1000000000/min",
            "WEB_PROCESSES": "2",
            "WEB_THREADS": "64",
            "LOG_LEVEL": "WARNING",
            "DEFAULT_CORPUS": "bench",
            "DAILY_BUDGET_USD": "100000",
            "DJANGO_SETTINGS_MODULE": "bench.settings",
        }
        command = ("manage.py", "service", "--port", str(port), "--name", "localhost")
        probe = f"https://localhost:{port}/healthz"
        with (
            started(
                *("sandbox", "--port", str(sandbox_port), "--embedder", "hashing"),
                probe=f"{sandbox_url}/healthz",
                environment={},
                log=folder / "sandbox.log",
            ),
            running(command, probe, environment, folder / "service.log"),
        ):
            documents = folder / "documents"
            documents.mkdir()
            write_corpus(documents, chunks)
            begun = time.perf_counter()
            ingest = ("ingest", str(documents), "--corpus", "bench", "--chunker", find_module(MODULE).chunker)
            told = manage(*ingest, environment=environment)
            if "is active" not in told:
                raise SystemExit(f"the ingest failed: {told}")
            took = time.perf_counter() - begun
            print(f"{chunks:,} chunks ingested in {took:.0f} s, {chunks / took:,.0f} a second", flush=True)
            key = manage("apikey", "create", "load", environment=environment).strip()
            pids = {"postgresql": postgresql.pid(), "redis": redis.pid()}
            environment |= {"ENV_FILE": str(folder / "data" / "run" / by_hand.FILE)}
            yield Service(f"https://localhost:{port}", key, sandbox_url, environment, questions(documents), pids)


@contextmanager
def servers(folder: Path) -> Iterator[tuple[PostgreSQL, Redis]]:
    with (
        own_servers.postgresql(folder / "postgresql", free_port(0), CONNECTIONS) as postgresql,
        own_servers.redis_server(folder / "redis", free_port(0)) as redis,
    ):
        yield postgresql, redis


@contextmanager
def running(command: tuple[str, ...], probe: str, environment: Mapping[str, str], log: Path) -> Iterator[None]:
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env={**os.environ, **environment}, stdout=out, stderr=out
        )
        try:
            ends = time.monotonic() + START_S
            while not answers_over_tls(probe):
                if process.poll() is not None or time.monotonic() > ends:
                    raise SystemExit(f"the service did not start:\n{log.read_text()[-3000:]}")
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
            process.wait(60)


def answers_over_tls(url: str) -> bool:
    try:
        return httpx.get(url, verify=False, timeout=2).is_success  # noqa: S501 - the certificate was made here
    except httpx.HTTPError:
        return False


def questions(documents: Path) -> tuple[str, ...]:
    """Seeded: six words of one section each."""
    draw = random.Random(11)
    files = sorted(documents.iterdir())
    texts = (draw.choice(files).read_text().split("\n\n") for _ in range(200))
    sections = (draw.choice([part for part in text if not part.startswith("#")]).split() for text in texts)
    return tuple("What is said about " + " ".join(draw.sample(words, 6)) + "?" for words in sections)


async def loop(
    parallel: int, seconds: float, ask: Callable[[], Awaitable[float | None]]
) -> tuple[list[float], list[float]]:
    """Every client asks again and again until the time is over, and ends the answer that it is at."""
    walls: list[float] = []
    first_words: list[float] = []

    async def client() -> None:
        while time.perf_counter() < ends:
            begun = time.perf_counter()
            first = await ask()
            walls.append((time.perf_counter() - begun) * 1000)
            if first is not None:
                first_words.append((first - begun) * 1000)

    ends = time.perf_counter() + seconds
    await asyncio.gather(*(client() for _ in range(parallel)))
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


async def measured(at: Service, parallel: int, seconds: float, kind: str, module: str = MODULE) -> Measured:
    asked = count()
    questions = (await kept(at),) if kind == "cached" else at.questions

    def body() -> dict[str, object]:
        return {"question": questions[next(asked) % len(questions)], "corpus": "bench", "module": module}

    headers = {"Cache-Control": "no-cache"} if kind in ("uncached", "streamed") else {}
    connector = aiohttp.TCPConnector(limit=0, ssl=False)
    auth = {"Authorization": f"Bearer {at.key}"}
    async with aiohttp.ClientSession(at.url, connector=connector, headers=auth) as session:
        path = CONSTANT if kind == "constant" else ASK
        ask = (
            partial(streamed, session, body, headers)
            if kind == "streamed"
            else partial(whole, session, path, body, headers)
        )
        await asyncio.gather(*(ask() for _ in range(parallel)))  # connections, imports, caches
        before, begun = sum(map(cpu_ms, at.web_processes())), time.perf_counter()
        walls, first_words = await loop(parallel, seconds, ask)
        took = time.perf_counter() - begun
        return Measured(took, sum(map(cpu_ms, at.web_processes())) - before, tuple(walls), tuple(first_words))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each loop")
    parser.add_argument("--parallel", default="1,8,32,128")
    parser.add_argument("--kinds", default="constant,cached,uncached,streamed")
    parser.add_argument(
        "--slow", type=int, default=100, help=f"asks in flight with {GENERATE_MS} ms a generation; 0: not measured"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and what was started here is stopped as well
    print(f"ten million additions: {additions_s():.2f} s")
    with service(options.chunks) as at:
        print(f"start of a web worker until it answers: {boot_s(at.environment):.1f} s")
        print(f"retrieval, {MODULE}: {retrieval(at)}\n")
        print("| request | parallel | n | a second | p50 ms | p95 ms | p99 ms | first word p50 ms | web CPU ms |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for kind in options.kinds.split(","):
            for parallel in map(int, options.parallel.split(",")):
                print(asyncio.run(measured(at, parallel, options.seconds, kind)).row(kind, parallel), flush=True)
                for module in OTHERS if kind == "uncached" and parallel <= FEW else ():
                    found = asyncio.run(measured(at, parallel, options.seconds, kind, module))
                    print(found.row(f"{kind}, {module}", parallel), flush=True)
        if options.slow:
            at.pace(GENERATE_MS)
            for kind in ("uncached", "streamed"):
                row = asyncio.run(measured(at, options.slow, options.seconds, kind)).row(
                    f"{kind}, {GENERATE_MS} ms", options.slow
                )
                print(row, flush=True)
        parts = memory_mb(at.environment) | {name: sum(map(pss_mb, tree(pid))) for name, pid in at.servers.items()}
        told = ", ".join(f"{name} {used:.0f}" for name, used in parts.items())
        print(f"\nmemory in MB (proportional): {told}; together {sum(parts.values()):,.0f}")
    print(f"ten million additions: {additions_s():.2f} s")


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
