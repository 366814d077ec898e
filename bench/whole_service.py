"""`manage.py service` for a bench: servers of its own, a seeded corpus, and a sandbox whose embedder costs next to nothing."""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench import own_servers
from bench.ingest import write_corpus
from bench.own_servers import PostgreSQL, Redis
from bench.serving import ROOT, manage, started
from ragsite import by_hand
from ragsite.processes import free_port

START_S = 180.0
CONNECTIONS = "-c max_connections=400"
"""one for each thread that answers, and one for each that streams"""


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


@contextmanager
def service(chunks: int, chunker: str) -> Iterator[Service]:
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
            ingest = ("ingest", str(documents), "--corpus", "bench", "--chunker", chunker)
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
