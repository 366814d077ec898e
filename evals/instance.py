"""A sandbox and a Chroma server of one's own, below a folder, for as long as a command needs them."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from django.conf import settings
from django.db import Error as DatabaseError

from rag import wiring
from rag.errors import RagError
from ragsite.processes import Part, Supervisor, free_port, only_one, stop_leftovers

READY_S = 90.0
PROBE_S = 2.0
QUIET = {"ANONYMIZED_TELEMETRY": "False", "ANTHROPIC_OPEN_TELEMETRY": "false", "ORT_DISABLE_TELEMETRY": "1"}
PROVIDER_SETTINGS = tuple(
    f"{vendor}_{what}" for vendor in ("ANTHROPIC", "VOYAGE", "OPENAI", "COHERE") for what in ("API_KEY", "BASE_URL")
)


def what_is_missing() -> str:
    """Why no question can be asked from here, or nothing."""
    probes = {"Chroma": f"{settings.CHROMA_URL}/api/v2/heartbeat"}
    if any(provider["mode"] == "simulated" for provider in settings.PROVIDERS.values()):
        probes["the sandbox"] = f"{settings.SANDBOX_URL}/healthz"
    away = [name for name, url in probes.items() if not answers(url)]
    if away:
        return f"{' and '.join(away)} cannot be reached"
    try:
        wiring.current_stamp(settings.DEFAULT_CORPUS)
    except RagError as error:
        return str(error)
    except DatabaseError as error:
        return f"the database is not ready: {error}"
    return ""


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=PROBE_S).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def running(folder: Path, base: Mapping[str, str], tell: Callable[[str], None]) -> Iterator[dict[str, str]]:
    """Starts both programs, and stops them at the end. Yields `base` with what programs have to know that use them.

    Raises AlreadyRunning when the folder is in use, and NotReady.
    """
    chroma, sandbox = (f"http://127.0.0.1:{free_port(0)}" for _ in range(2))
    known = {**base, **QUIET, "DATA_DIR": str(folder), "CHROMA_URL": chroma, "SANDBOX_URL": sandbox}
    run_dir = folder / "run"
    with only_one(run_dir):
        stop_leftovers(run_dir)
        supervisor = Supervisor(run_dir, folder / "logs", QUIET, tell)
        try:
            for part in parts(folder, chroma, sandbox):
                supervisor.start(part)
            for name in tuple(supervisor.children):
                supervisor.wait_ready(name, READY_S)
            yield known
        finally:
            supervisor.stopping = True
            supervisor.stop()


def parts(folder: Path, chroma: str, sandbox: str) -> tuple[Part, Part]:
    port = chroma.rpartition(":")[2]
    binary = str(Path(sys.executable).with_name("chroma"))
    stored = (binary, "run", "--host", "127.0.0.1", "--port", port, "--path", str(folder / "chroma"))
    port = sandbox.rpartition(":")[2]
    played = (sys.executable, "-m", "sandbox", "--port", port, "--data-dir", str(folder / "sandbox"))
    return (
        Part("sandbox", played, sandbox, f"{sandbox}/healthz"),
        Part("chroma", stored, chroma, f"{chroma}/api/v2/heartbeat"),
    )


def without_settings_of_this_machine(folder: Path) -> dict[str, str]:
    """The environment of a fresh clone: no keys, no `.env`, a database of its own below the folder."""
    given = {name: value for name, value in os.environ.items() if name not in (*PROVIDER_SETTINGS, "REDIS_URL")}
    return given | {"ENV_FILE": "", "DEBUG": "true", "DATABASE_URL": f"sqlite:///{folder / 'ragsite.sqlite3'}"}
