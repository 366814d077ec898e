"""The whole service mode on servers of the bench's own, below one folder, so that each of its processes may be killed."""

import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bench.own_servers import PostgreSQL, Redis
from bench.serving import ROOT, manage
from ragsite.local import RUNNING_FILE
from ragsite.processes import answers, free_port, stop_leftovers

START_S = 180.0
STOP_S = 60.0
GENERATE_MS = 300
"""How long the sandbox writes an answer: requests are under way whenever something is killed."""
PASSWORD = re.compile(r"user: admin   password: (\S+)")
DECLARED = re.compile(r"^#?([A-Z][A-Z0-9_]*)=", re.MULTILINE)


class NotStarted(Exception):
    """The message has the end of its log."""


def forget_settings() -> None:
    """Of whoever starts the bench: their keys would reach real providers, their servers would be killed."""
    declared = DECLARED.findall((ROOT / ".env.example").read_text("utf-8"))
    for name in (*declared, *(name for name in list(os.environ) if name.endswith("_BASE_URL"))):
        os.environ.pop(name, None)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a service that is deployed does not compile itself at each start


@dataclass(slots=True)
class Site:
    """`service` is the supervisor of `manage.py service`; the sandbox, which stands for the providers, is none of its parts."""

    folder: Path
    traces: Path
    postgresql: PostgreSQL
    redis: Redis
    port: int = field(default_factory=lambda: free_port(0))
    sandbox_port: int = field(default_factory=lambda: free_port(0))
    service: subprocess.Popen[bytes] | None = None
    sandbox: subprocess.Popen[bytes] | None = None
    key: str = ""
    password: str = ""

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "ENV_FILE": "",
            "DATABASE_URL": self.postgresql.url,
            "REDIS_URL": self.redis.url,
            "DATA_DIR": str(self.data),
            "TRACE_DIR": str(self.traces),
            "STATIC_ROOT": str(self.folder / "static"),
            "SANDBOX_URL": self.sandbox_url,
            "ALLOW_SANDBOX": "true",
            "WEB_PROCESSES": "2",
            "LOG_LEVEL": "WARNING",
            "ASK_RATE": "1000000000/min",
            "DAILY_BUDGET_USD": "100000",
            "DEFAULT_CORPUS": "bench",
            "KEEP_CORPUS_VERSIONS": "100000",
        }

    def start_sandbox(self) -> None:
        options = f"--port {self.sandbox_port} --embedder hashing --generate-ms {GENERATE_MS} --data-dir".split()
        self.sandbox = self._started("sandbox", "-m", "sandbox", *options, str(self.data / "sandbox"))
        self._until(self.sandbox_answers, "sandbox", self.sandbox)

    def sandbox_answers(self) -> bool:
        return answers(f"{self.sandbox_url}/healthz")

    def start_service(self) -> None:
        """Returns once it says that it runs: then every part does. Raises NotStarted."""
        begun = len(self.told("service"))
        self.service = self._started("service", "manage.py", "service", "--port", str(self.port), "--name", "localhost")
        self._until(lambda: "running in service mode" in self.told("service")[begun:], "service", self.service)

    def parts(self) -> dict[str, dict[str, Any]]:
        """Name -> {pid, url, command}; empty while there is no supervisor that has told it."""
        try:
            listed: dict[str, dict[str, Any]] = json.loads((self.data / "run" / RUNNING_FILE).read_text())["parts"]
        except (OSError, ValueError, KeyError):
            return {}
        return listed

    def manage(self, *arguments: str) -> str:
        return manage(*arguments, environment=self.environment)

    def client(self, **headers: str) -> httpx.Client:
        """Trusts the certificate that the service made for itself, and no other."""
        trust = ssl.create_default_context(cafile=str(self.data / "nginx" / "tls" / "self-made.crt"))
        return httpx.Client(base_url=self.url, headers=headers, verify=trust, timeout=60)

    def told(self, name: str) -> str:
        """What a process of the bench's has written so far, the supervisor for example."""
        log = self.folder / f"{name}.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def stop(self) -> None:
        for process in (self.service, self.sandbox):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_S)
        stop_leftovers(self.data / "run")

    def _started(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _until(self, holds: Callable[[], bool], name: str, process: subprocess.Popen[bytes]) -> None:
        ends = time.monotonic() + START_S
        while not holds():
            if process.poll() is not None or time.monotonic() > ends:
                raise NotStarted(f"{name} did not start:\n{self.told(name)[-3000:]}")
            time.sleep(0.05)


@contextmanager
def running_site(folder: Path, traces: Path, postgresql: PostgreSQL, redis: Redis) -> Iterator[Site]:
    """Migrated, with a user `admin` and an API key."""
    site = Site(folder, traces, postgresql, redis)
    try:
        site.start_sandbox()
        site.start_service()
        password = PASSWORD.search(site.told("service"))
        site.password = password.group(1) if password else ""
        site.key = site.manage("apikey", "create", "kills").strip()
        yield site
    finally:
        site.stop()


def keep_logs(site: Site, target: Path) -> None:
    """What the processes wrote, for whoever looks why."""
    target.mkdir(parents=True, exist_ok=True)
    for log in [*site.folder.glob("*.log"), *(site.data / "logs").glob("*")]:
        shutil.copy(log, target / log.name)
