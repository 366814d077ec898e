"""A PostgreSQL cluster and a Redis of the bench's own, which it may stop, kill and start again as it likes."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

DEBIAN = Path("/usr/lib/postgresql")
NAME = "bench"
START_S = 60.0
TRUSTED = ("--username", NAME, "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--wal-segsize", "1")
SMALL = "-c max_connections=200 -c max_wal_size=32MB -c min_wal_size=2MB"
"""for a disk that is to be full"""


class Missing(Exception):
    """A program that is not on this machine; the message says how to get it."""


def postgresql_binary(name: str) -> str:
    """From the PATH, or from where Debian keeps the newest version. Raises Missing."""
    debian = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = shutil.which(name) or (str(debian[-1]) if debian else None)
    if found is None:
        raise Missing(f"there is no {name} on this machine: apt-get install postgresql")
    return found


def redis_binary() -> str:
    found = shutil.which("redis-server")
    if found is None:
        raise Missing("there is no redis-server on this machine: apt-get install redis-server")
    return found


def postgresql_user() -> str | None:
    """Who runs PostgreSQL, which refuses root; None: whoever runs the bench. Raises Missing."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError as error:
        raise Missing(
            "root may not run PostgreSQL, and there is no user postgres: apt-get install postgresql"
        ) from error


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A cluster in a folder that belongs to its user. It writes to disk as a real one does: nothing is switched off."""

    folder: Path
    port: int
    user: str | None
    options: str

    @property
    def url(self) -> str:
        return f"postgres://{NAME}@127.0.0.1:{self.port}/postgres"

    def create(self) -> None:
        self._run(postgresql_binary("initdb"), "--pgdata", str(self.folder), *TRUSTED)

    def start(self) -> None:
        """Returns once it takes connections, after whatever it has to recover. Raises RuntimeError."""
        log = str(self.folder / "server.log")
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder} {self.options}"
        self._control("start", "--log", log, "--options", options, "--wait", "--timeout", f"{START_S:.0f}")

    def stop(self, mode: str) -> None:
        """`fast` closes connections and writes everything down; `immediate` is like a power failure."""
        self._control("stop", "--mode", mode, "--wait")

    def pid(self) -> int:
        return int((self.folder / "postmaster.pid").read_text().split()[0])

    def runs(self) -> bool:
        return self._called(postgresql_binary("pg_ctl"), "status", "--pgdata", str(self.folder)).returncode == 0

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _control(self, *arguments: str) -> None:
        self._run(postgresql_binary("pg_ctl"), *arguments, "--pgdata", str(self.folder))

    def _run(self, *command: str) -> None:
        done = self._called(*command)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command[:2])} failed:\n{done.stdout}")

    def _called(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Its output goes to a file: the server inherits it, and a pipe would not end before the server does."""
        told = self.folder.with_suffix(".out")
        with told.open("w") as out:
            done = subprocess.run(
                command, user=self.user, cwd=self.folder, stdout=out, stderr=subprocess.STDOUT, check=False
            )
        return subprocess.CompletedProcess(command, done.returncode, told.read_text())


@contextmanager
def postgresql(folder: Path, port: int, options: str = SMALL) -> Iterator[PostgreSQL]:
    """Started in the folder, which may be there, empty (a disk of its own, for example)."""
    server = PostgreSQL(folder, port, postgresql_user(), options)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    if server.user:
        shutil.chown(folder, server.user)
    server.create()
    server.start()
    try:
        yield server
    finally:
        if server.runs():
            server.stop("immediate")


class Redis:
    """Keeps what it is told on disk, as `docs/operations.md` demands of the one that holds the queues."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Returns once it answers. Raises RuntimeError."""
        settings = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder, "appendonly": "yes", "save": ""}
        command = [redis_binary(), *(word for name, value in settings.items() for word in (f"--{name}", str(value)))]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        ends = time.monotonic() + START_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"redis-server did not start; see {self.folder / 'server.log'}")
            time.sleep(0.02)

    def stop(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(START_S)

    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_connect_timeout=1, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def waiting(self, queue: str) -> int:
        """How many messages of a Celery queue nobody has taken yet."""
        with redis.Redis.from_url(self.url) as client:
            return int(client.execute_command("LLEN", queue))


@contextmanager
def redis_server(folder: Path, port: int) -> Iterator[Redis]:
    server = Redis(folder, port)
    folder.mkdir()
    server.start()
    try:
        yield server
    finally:
        server.stop(signal.SIGTERM)
