"""`manage.py up` (`make run`): the whole product on this machine, under one supervisor, until Ctrl-C."""

import json
import os
import signal
import socket
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ragsite.processes import AlreadyRunning, NotReady, Part, Supervisor, free_port, listener, only_one, stop_leftovers

READY_S = 60.0
FRESH = "fresh-secrets.json"  # kept until the screen was shown, should the first start fail half-way
WEB_PORT, CHROMA_PORT, SANDBOX_PORT = 8000, 8123, 8199
QUEUES = f"{settings.CELERY_TASK_DEFAULT_QUEUE},{settings.INGEST_QUEUE}"


class Command(BaseCommand):
    help = "Set everything up and run web, worker with beat, Chroma and the sandbox until Ctrl-C."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", WEB_PORT)), help="of the web site")

    def handle(self, *args: Any, **options: Any) -> None:
        run_dir = Path(settings.RUN_DIR)
        try:
            with only_one(run_dir):
                for name in stop_leftovers(run_dir):
                    self.tell(f"stopped a {name} process that an earlier run had left behind")
                self.supervise(run_dir, options)
        except AlreadyRunning as error:
            raise CommandError(str(error)) from error

    def supervise(self, run_dir: Path, options: dict[str, Any]) -> None:
        forget_counts(Path(settings.METRICS_DIR))
        chroma, sandbox = free_port(CHROMA_PORT), free_port(SANDBOX_PORT)
        env = environment(chroma, sandbox) | self.environment(options)
        supervisor = Supervisor(run_dir, Path(settings.DATA_DIR) / "logs", env, self.tell)
        signal.signal(signal.SIGINT, lambda *_: interrupt(supervisor))
        signal.signal(signal.SIGTERM, lambda *_: interrupt(supervisor))
        try:
            for part in self.outer_parts(chroma, sandbox):
                supervisor.start(part)
            fresh = self.prepare(run_dir, env, options)
            with self.listener(options) as web:
                parts = self.own_parts(web, options)
                for part in parts:
                    supervisor.start(part)
                for part in parts:
                    supervisor.wait_ready(part.name, READY_S)
                self.stdout.write(self.screen(web, fresh, options))
                self.stdout.flush()  # a log file is not a terminal, and somebody may be waiting for this
                (run_dir / FRESH).unlink(missing_ok=True)
                supervisor.run()
        except Interrupted:
            self.stdout.write("")
        except NotReady as error:
            raise CommandError(str(error)) from error
        finally:
            supervisor.stopping = True
            self.tell("stopping")
            supervisor.stop()
            self.tell("everything is stopped")

    def environment(self, options: dict[str, Any]) -> dict[str, str]:
        """What this mode wants of the settings."""
        return {}

    def outer_parts(self, chroma: int, sandbox: int) -> list[Part]:
        return outer_parts(chroma, sandbox)

    def prepare_options(self, options: dict[str, Any]) -> list[str]:
        return []

    def listener(self, options: dict[str, Any]) -> socket.socket:
        return listener(options["port"])

    def own_parts(self, web: socket.socket, options: dict[str, Any]) -> list[Part]:
        return own_parts(web)

    def screen(self, web: socket.socket, fresh: dict[str, str | None], options: dict[str, Any]) -> str:
        return screen(address(web), fresh, Path(settings.DATA_DIR) / "logs")

    def prepare(self, run_dir: Path, env: dict[str, str], options: dict[str, Any]) -> dict[str, str | None]:
        """Run `manage.py prepare` in a process of its own, which knows the ports; returns what is shown only once."""
        target = run_dir / FRESH
        command = [sys.executable, "manage.py", "prepare", "--secrets-to", str(target), *self.prepare_options(options)]
        done = subprocess.run(command, env={**os.environ, **env}, cwd=settings.BASE_DIR, check=False)
        if done.returncode:
            raise CommandError("the preparation failed; the reason stands above")
        fresh: dict[str, str | None] = json.loads(target.read_text())
        return fresh

    def tell(self, text: str) -> None:
        self.stdout.write(f"[up] {text}")
        self.stdout.flush()


def forget_counts(folder: Path) -> None:
    """What the processes of an earlier run have counted for Prometheus, a few files a process."""
    for counts in folder.glob("*.db"):
        counts.unlink(missing_ok=True)


class Interrupted(Exception):
    """Ctrl-C or SIGTERM."""


def interrupt(supervisor: Supervisor) -> None:
    if not supervisor.stopping:
        supervisor.stopping = True
        raise Interrupted


def environment(chroma: int, sandbox: int) -> dict[str, str]:
    """What the children need to know on top of the settings."""
    return {
        "PYTHONUNBUFFERED": "1",
        "ANONYMIZED_TELEMETRY": "False",
        "ANTHROPIC_OPEN_TELEMETRY": "false",
        "ORT_DISABLE_TELEMETRY": "1",
        "MALLOC_ARENA_MAX": "2",  # glibc would scatter what many threads allocate over eight heaps a core
        "CHROMA_URL": settings.GIVEN_CHROMA_URL or f"http://127.0.0.1:{chroma}",
        "SANDBOX_URL": settings.GIVEN_SANDBOX_URL or f"http://127.0.0.1:{sandbox}",
    }


def outer_parts(chroma: int, sandbox: int) -> list[Part]:
    """What a deployment would have elsewhere; a URL in the settings means that it is there already."""
    return [
        *([] if settings.GIVEN_SANDBOX_URL else [sandbox_part(sandbox)]),
        *([] if settings.GIVEN_CHROMA_URL else [chroma_part(chroma)]),
    ]


def sandbox_part(port: int) -> Part:
    url, folder = f"http://127.0.0.1:{port}", str(settings.DATA_DIR / "sandbox")
    command = (sys.executable, *f"-m sandbox --port {port} --data-dir".split(), folder)
    return Part("sandbox", command, url, f"{url}/healthz")


def chroma_part(port: int) -> Part:
    url, folder = f"http://127.0.0.1:{port}", str(settings.DATA_DIR / "chroma")
    binary = str(Path(sys.executable).with_name("chroma"))
    command = (binary, *f"run --host 127.0.0.1 --port {port} --path".split(), folder)
    return Part("chroma", command, url, f"{url}/api/v2/heartbeat")


def own_parts(web: socket.socket) -> list[Part]:
    """The web process inherits its listening socket, so the port stays ours while the process restarts."""
    celery = (
        f"-m celery -A ragsite.celery worker --queues {QUEUES} --beat --pool threads --concurrency 2 --loglevel INFO"
    )
    schedule = str(settings.RUN_DIR / "beat-schedule")
    return [
        Part("worker", (sys.executable, *celery.split(), "--schedule", schedule)),
        web_part(web),
    ]


def web_part(web: socket.socket) -> Part:
    url, descriptor = address(web), web.fileno()
    gunicorn = f"-m gunicorn --config ragsite/gunicorn_conf.py --bind fd://{descriptor} ragsite.wsgi".split()
    return Part("web", (sys.executable, *gunicorn), url, f"{url}/healthz", (descriptor,))


def address(web: socket.socket) -> str:
    return f"http://127.0.0.1:{web.getsockname()[1]}"


def screen(url: str, fresh: dict[str, str | None], logs: Path) -> str:
    """The last screen: where to click and what to type."""
    password = fresh["password"] or "as at the first start (forgotten: manage.py changepassword admin)"
    key = fresh["api_key"] or "YOUR_API_KEY"
    lines = [
        "",
        "ragsite is running.  Stop it with Ctrl-C.",
        "",
        f"  Ask a question   {url}/",
        f"  Admin            {url}/admin/     user: admin   password: {password}",
        f"  API reference    {url}/api/docs",
        "",
        "  From the shell:",
        f"    curl -s {url}/api/ask -H 'Authorization: Bearer {key}' \\",
        "      -H 'Content-Type: application/json' -d '{\"question\": \"How do I write a custom manage.py command?\"}'",
        "",
    ]
    if fresh["api_key"]:
        lines += ["  The password and the key are shown this once; only hashes of them are kept.", ""]
    else:
        lines += ["  A new key:  .venv/bin/python manage.py apikey create NAME --scopes ask,read", ""]
    simulated = [name for name, provider in settings.PROVIDERS.items() if provider["mode"] == "simulated"]
    if simulated:
        lines += [f"  Simulated by the sandbox: {', '.join(simulated)}. Put keys into .env for the real ones.", ""]
    return "\n".join([*lines, f"  Logs: {logs}", ""])
