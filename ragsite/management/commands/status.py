"""`manage.py status [--json]`: URL and state of every part that `make run` started."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from ragsite.local import RUNNING_FILE
from ragsite.processes import answers, runs

PROBES = {"web": "/healthz", "chroma": "/api/v2/heartbeat", "sandbox": "/healthz", "nginx": "/nginx-status"}


class Command(BaseCommand):
    help = "URL and state of every running part. Exit status 1 when a part is down or nothing runs."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        parts = states(Path(settings.RUN_DIR))
        up = bool(parts) and all(part["state"] == "up" for part in parts.values())
        if options["json"]:
            self.stdout.write(json.dumps({"running": bool(parts), "healthy": up, "parts": parts}, indent=2))
        elif not parts:
            self.stdout.write("nothing runs; start it with `make run`")
        for name, part in parts.items() if not options["json"] else ():
            self.stdout.write(f"{name:8} {part['state']:5} {part['url'] or '-':28} pid {part['pid']}")
        if not up:
            raise SystemExit(1)


def states(run_dir: Path) -> dict[str, dict[str, Any]]:
    """Name -> {url, pid, state}; a part is up when its process runs and, if it has a URL, answers there."""
    try:
        listed = json.loads((run_dir / RUNNING_FILE).read_text("utf-8"))["parts"]
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return {}
    return {
        name: {"url": part["url"], "pid": part["pid"], "state": "up" if is_up(name, part) else "down"}
        for name, part in listed.items()
    }


def is_up(name: str, part: dict[str, Any]) -> bool:
    return runs(part["pid"], part["command"]) and answers(part["url"] and part["url"] + PROBES[name])
