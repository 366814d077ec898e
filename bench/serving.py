"""What benches start: the web process, a sandbox of their own, and a copy of the instance without its history.

They stand beside the Chroma server (and, where they do not break it, the sandbox) of a running `make run`.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from ragsite.processes import answers, free_port

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("DATA_DIR", ROOT / "data"))
DATASET = ROOT / "evals" / "datasets" / "django-topics.jsonl"
HISTORY = (
    *("costs_ledgerentry", "rag_tracesummary", "rag_outage", "rag_turn", "rag_session"),
    *("rag_rollup", "rag_latencyrollup", "rag_rollupstate"),
)


def manage(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What `manage.py` prints, whatever its exit status."""
    command = [sys.executable, "manage.py", *arguments]
    env = {**os.environ, **(environment or {})}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False).stdout


def environment() -> dict[str, str]:
    """The settings of a web process beside the running instance: as in production, but for the sandbox and without limits."""
    parts = json.loads(manage("status", "--json"))["parts"]
    return {
        "DEBUG": "false",
        "ALLOW_SANDBOX": "true",
        "BEHIND_TLS": "false",
        "SECRET_KEY": "only-for-the-bench-" * 4,
        "ALLOWED_HOSTS": "127.0.0.1",
        "ASK_RATE": "1000000/min",
        "SANDBOX_URL": parts["sandbox"]["url"],
        "CHROMA_URL": parts["chroma"]["url"],
        "LOG_LEVEL": "WARNING",
    }


def api_key(environment: Mapping[str, str] | None = None) -> str:
    return manage("apikey", "create", "bench", environment=environment).strip()


@contextmanager
def web(
    environment: Mapping[str, str], *, application: str = "ragsite.wsgi", log: Path | None = None
) -> Iterator[tuple[str, int]]:
    """A web process of our own: its URL and the process id of its worker. It ends when its requests have."""
    port = free_port(0)
    command = ["gunicorn", "--config", "ragsite/gunicorn_conf.py", "--bind", f"127.0.0.1:{port}", application]
    with started(*command, probe=f"http://127.0.0.1:{port}/healthz", environment=environment, log=log) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield f"http://127.0.0.1:{port}", int(children[0])


@contextmanager
def sandbox(folder: Path) -> Iterator[str]:
    """A sandbox whose faults meet nobody else and whose bill holds nobody else's calls; it knows the instance's vectors."""
    shutil.copytree(DATA / "sandbox", folder / "sandbox", ignore=shutil.ignore_patterns("bill.jsonl"))
    url = f"http://127.0.0.1:{free_port(0)}"
    command = ["sandbox", "--port", url.rpartition(":")[2], "--data-dir", str(folder / "sandbox")]
    with started(*command, probe=f"{url}/healthz", environment={}, log=folder / "sandbox.log"):
        yield url


@contextmanager
def started(
    *module: str, probe: str, environment: Mapping[str, str], log: Path | None
) -> Iterator[subprocess.Popen[bytes]]:
    out = log.open("ab") if log else None
    command = [sys.executable, "-m", *module]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=out, stderr=out)
    try:
        while not answers(probe):
            assert process.poll() is None, f"{module[0]} did not start; see {log}"
            time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        process.wait(60)
        if out:
            out.close()


def copy_of_the_instance(folder: Path) -> dict[str, str]:
    """The settings that lead to a copy of the SQLite database, of today's schema and without history."""
    copy = folder / "ragsite.sqlite3"
    with (
        closing(sqlite3.connect(DATA / "ragsite.sqlite3")) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
        guards = target.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            target.execute(f"DROP TRIGGER {name}")
        known = {name for (name,) in target.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table in known.intersection(HISTORY):
            target.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
        for _, statement in guards:
            target.execute(statement)
        target.commit()
    settings = {"DATABASE_URL": f"sqlite:///{copy}", "TRACE_DIR": str(folder / "traces")}
    manage("migrate", environment=settings)
    return settings
