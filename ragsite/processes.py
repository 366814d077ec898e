"""Supervising the processes of the embedded mode: start, watch, restart, stop, and say where each one listens.

Every child leads a session of its own, so that Ctrl-C reaches the supervisor alone and it stops them in order. If the
supervisor itself is killed its children live on; the next start finds them in the state file and stops them first, because
two Chroma servers must never share a folder.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from ragsite.local import RUNNING_FILE

STOP_S = 15.0
LONGEST_BACKOFF_S = 30.0
STEADY_S = 10.0
"""Who lived that long had started well: its death is no sign that the next one will die as well."""
POLL_S = 0.3
LOG_LIMIT = 10_000_000


class AlreadyRunning(Exception):
    """Another supervisor works on the same data directory."""


class NotReady(Exception):
    """A part did not answer in time; the message names its log."""


@dataclass(frozen=True, slots=True)
class Part:
    """A process to keep alive. `probe` is the URL that answers 2xx once it is ready; None = running is enough.

    `descriptors` are open files that the process inherits under the same numbers, a listening socket for example.
    `stop_signal` is what ends it in good order.
    """

    name: str
    command: tuple[str, ...]
    url: str | None = None
    probe: str | None = None
    descriptors: tuple[int, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM


@dataclass(slots=True)
class Child:
    part: Part
    process: subprocess.Popen[bytes]
    started: float
    failures: int = 0
    restart_at: float | None = None


def free_port(preferred: int) -> int:
    """The preferred port on the loopback interface if nobody listens there, otherwise one that the system gives."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


def listener(preferred: int) -> socket.socket:
    """A listening socket on the preferred port, or on a free one. Who holds it keeps the port, whatever restarts behind it."""
    for port in (preferred, 0):
        opened = socket.socket()
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind(("127.0.0.1", port))
            opened.listen(128)
        except OSError:
            opened.close()
            continue
        return opened
    raise OSError("no free port on 127.0.0.1")


@contextmanager
def only_one(run_dir: Path) -> Iterator[None]:
    """Hold the data directory's lock; raises AlreadyRunning when somebody else does."""
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(f"it is running already; `manage.py status` says where ({run_dir})") from error
        yield


def stop_leftovers(run_dir: Path) -> list[str]:
    """Stop children that a killed supervisor left behind; returns their names."""
    try:
        parts = json.loads((run_dir / RUNNING_FILE).read_text("utf-8"))["parts"]
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return []
    left = {name: part["pid"] for name, part in parts.items() if runs(part["pid"], part["command"])}
    for pid in left.values():
        os.killpg(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    while any(runs(pid, parts[name]["command"]) for name, pid in left.items()) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    for name, pid in left.items():
        if runs(pid, parts[name]["command"]):
            os.killpg(pid, signal.SIGKILL)
    (run_dir / RUNNING_FILE).unlink(missing_ok=True)
    return list(left)


def runs(pid: int, command: Sequence[str]) -> bool:
    """Whether the process is there and still is the program that was started: process ids are used again."""
    proc = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self/cmdline").exists():
        try:
            shown = proc.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return False
    else:
        listed = subprocess.run(
            ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        shown = listed.stdout
    return command[-1] in shown


@dataclass(slots=True)
class Supervisor:
    """Keeps children alive. `env` is what every child gets on top of this process's environment."""

    run_dir: Path
    log_dir: Path
    env: Mapping[str, str]
    tell: Callable[[str], None]
    children: dict[str, Child] = field(default_factory=dict)
    stopping: bool = False

    def start(self, part: Part) -> None:
        self.children[part.name] = Child(part, self._spawn(part), time.monotonic())
        self._write_state()

    def wait_ready(self, name: str, timeout_s: float) -> None:
        """Wait until a part answers its probe; raises NotReady with the place of its log."""
        part = self.children[name].part
        deadline = time.monotonic() + timeout_s
        while not answers(part.probe):
            if time.monotonic() > deadline:
                raise NotReady(f"{name} did not become ready in {timeout_s:.0f} s; see {self.log_path(name)}")
            self.watch()
            time.sleep(POLL_S)

    def watch(self) -> None:
        """Look at every child once: one that died is started again, at once, and later each time it dies young again."""
        now = time.monotonic()
        for child in self.children.values():
            if child.restart_at is not None:
                if now >= child.restart_at:
                    self._restart(child, now)
            elif child.process.poll() is not None:
                self._note_death(child, now)

    def run(self) -> None:
        while not self.stopping:
            self.watch()
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Stop all children, the last started first: the web process before what it needs."""
        deadline = time.monotonic() + STOP_S
        for child in reversed(self.children.values()):
            send(child.process, child.part.stop_signal)
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.tell(f"{child.part.name} did not stop in {STOP_S:.0f} s and was killed")
                send(child.process, signal.SIGKILL)
        (self.run_dir / RUNNING_FILE).unlink(missing_ok=True)

    def log_path(self, name: str) -> Path:
        return self.log_dir / f"{name}.log"

    def _spawn(self, part: Part) -> subprocess.Popen[bytes]:
        self.log_dir.mkdir(parents=True, exist_ok=True)
        path = self.log_path(part.name)
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as log:
            return subprocess.Popen(
                part.command,
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=part.descriptors,
            )

    def _note_death(self, child: Child, now: float) -> None:
        send(
            child.process, signal.SIGKILL
        )  # what it started itself, a beat for example, must not live on beside the new one
        child.failures = 0 if now - child.started > STEADY_S else child.failures + 1
        wait = min(LONGEST_BACKOFF_S, 2.0 ** (child.failures - 2)) if child.failures > 1 else 0.0
        child.restart_at = now + wait
        how = child.process.returncode
        self.tell(
            f"{child.part.name} ended (status {how}); starting it again in {wait:.0f} s, log: {self.log_path(child.part.name)}"
        )

    def _restart(self, child: Child, now: float) -> None:
        child.process, child.started, child.restart_at = self._spawn(child.part), now, None
        self._write_state()

    def _write_state(self) -> None:
        """Replace the state file whole, so that a reader never sees half of it."""
        parts = {
            name: {"pid": child.process.pid, "url": child.part.url, "command": list(child.part.command)}
            for name, child in self.children.items()
        }
        draft = self.run_dir / f"{RUNNING_FILE}.new"
        draft.write_text(json.dumps({"pid": os.getpid(), "parts": parts}, indent=2), "utf-8")
        draft.replace(self.run_dir / RUNNING_FILE)


def send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the whole session of a child."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        process.poll()


def answers(url: str | None) -> bool:
    if url is None:
        return True
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False
