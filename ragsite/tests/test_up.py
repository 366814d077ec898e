"""`make run` as a newcomer lives it: started twice, asked, every process killed once, stopped by Ctrl-C and by force."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings

from ragsite.local import RUNNING_FILE
from ragsite.testing import VENDORS

PARTS = ("sandbox", "chroma", "worker", "web")
QUESTION = {"question": "When does the garage close?", "module": "m3-hybrid"}
ENQUEUE = """
from rag.models import IngestJob
from rag import ingest_jobs
from django.conf import settings
job = IngestJob.objects.create(corpus_slug="django", path=str(settings.DATA_DIR / "sample" / "docs"))
ingest_jobs.enqueue(job_id=job.pk)
"""


class House:
    """A data folder with a small sample corpus in place of the download, and the commands that work on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.docs = folder / "sample" / "docs" / "topics"
        self.docs.mkdir(parents=True)
        (self.docs / "garage.txt").write_text("Garage\n======\n\nThe garage closes at 22:00 every day.\n")
        (self.docs / "canteen.txt").write_text("Canteen\n=======\n\nThe canteen opens at 11:30.\n")
        self.screen = folder / "screen.txt"
        self.key = ""

    def environment(self) -> dict[str, str]:
        """That of a fresh machine: no service is given, everything is started here."""
        given = {"DATABASE_URL", "REDIS_URL", "SANDBOX_URL", "CHROMA_URL", "TRACE_DIR"}
        given |= {f"{vendor}_{what}" for vendor in VENDORS for what in ("API_KEY", "BASE_URL")}
        kept = {name: value for name, value in os.environ.items() if name not in given}
        return kept | {"DATA_DIR": str(self.folder), "ENV_FILE": ""}

    def manage(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *command],
            env=self.environment(),
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def up(self) -> subprocess.Popen[bytes]:
        """Start it, and wait for the last screen."""
        command = [sys.executable, "manage.py", "up", "--port", "0"]
        with self.screen.open("wb") as out:
            process = subprocess.Popen(
                command, stdout=out, stderr=out, cwd=settings.BASE_DIR, env=self.environment(), start_new_session=True
            )
        eventually(lambda: "ragsite is running" in self.shown() or process.poll() is not None, "the screen")
        assert process.poll() is None, self.shown()
        return process

    def shown(self) -> str:
        return self.screen.read_text()

    def parts(self) -> dict[str, dict[str, Any]]:
        listed: dict[str, dict[str, Any]] = json.loads((self.folder / "run" / RUNNING_FILE).read_text())["parts"]
        return listed

    def pids(self) -> dict[str, int]:
        return {name: part["pid"] for name, part in self.parts().items()}

    def ask(self) -> dict[str, Any]:
        """The answer, which must come."""
        response = httpx.post(
            f"{self.parts()['web']['url']}/api/ask",
            json=QUESTION,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=30,
        )
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        assert "22:00" in body["answer"]
        return body

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.parts()['web']['url']}/readyz", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "ragsite.sqlite3", timeout=20)) as database:
            return [row[0] for row in database.execute(query)]

    def strays(self) -> list[int]:
        """Whatever still runs on this data folder."""
        listed = subprocess.run(
            ["/bin/ps", "-ww", "-eo", "pid=,args="], capture_output=True, text=True, check=True
        ).stdout
        return [int(line.split()[0]) for line in listed.splitlines() if f"{self.folder}/" in line]

    def kill(self, *names: str) -> None:
        """kill -9, and wait until the supervisor has put another in its place."""
        before = self.pids()
        for name in names:
            os.kill(before[name], signal.SIGKILL)
        eventually(lambda: all(self.pids()[name] != before[name] for name in names), f"another {names}")
        eventually(self.ready, f"readiness after {names} died")


def eventually(holds: Callable[[], bool], what: str, *, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {within_s:.0f} s for {what}")
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and waits for its parent does not."""
    listed = subprocess.run(["/bin/ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(listed.stdout.strip()) and not listed.stdout.startswith("Z")


@pytest.fixture
def house() -> Iterator[House]:
    made = House(settings.DATA_DIR / "up")
    yield made
    state = made.folder / "run" / RUNNING_FILE
    if state.exists():  # the test broke off: leave nothing running
        supervisor = json.loads(state.read_text())["pid"]
        for pid in (supervisor, *made.pids().values()):
            if alive(pid):
                os.killpg(pid, signal.SIGKILL)
    for pid in made.strays():
        os.kill(pid, signal.SIGKILL)


def test_the_embedded_mode_survives_what_an_operator_can_do_to_it(house: House) -> None:
    supervisor = house.up()
    first_start(house)
    for name in PARTS:
        house.kill(name)
        house.ask()
    kill_during_an_ingest(house)
    everything_stops(house, supervisor)
    supervisor = second_start(house)
    killed_supervisor(house, supervisor)
    assert house.strays() == []


def first_start(house: House) -> None:
    """The screen gives a password and a key that work, and `status` lists four parts that are up."""
    key = re.search(r"rk_[0-9a-f]{8}_[\w-]{43}", house.shown())
    assert key is not None
    assert "user: admin" in house.shown()
    house.key = key.group()
    listed = json.loads(house.manage("status", "--json").stdout)
    assert listed["healthy"] is True
    assert {name: part["state"] for name, part in listed["parts"].items()} == dict.fromkeys(PARTS, "up")
    assert house.ask()["corpus_version"] == "v1"


def kill_during_an_ingest(house: House) -> None:
    """The version that served goes on serving, and a new ingest comes to its end."""
    for number in range(300):
        text = (
            f"Note {number}\n{'=' * 12}\n\nShelf {number} holds box {number * 7} of the archive, row {number % 13}.\n"
        )
        (house.docs / f"note{number}.txt").write_text(text)
    assert house.manage("shell", "-c", ENQUEUE).returncode == 0
    embedding = "SELECT 1 FROM rag_ingestjob WHERE state = 'running' AND progress LIKE 'embedding%'"
    eventually(lambda: bool(house.rows(embedding)), "the ingest to embed")

    house.kill("worker", "chroma")

    assert house.ask()["corpus_version"] == "v1"
    assert house.rows("SELECT state FROM rag_corpusversion ORDER BY number") == ["ready", "building"]
    done = house.manage("ingest", str(house.docs.parent), "--corpus", "django", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["version"], report["documents"]) == ("v3", 302)
    assert report["reused"] > 0
    assert house.ask()["corpus_version"] == "v3"


def everything_stops(house: House, supervisor: subprocess.Popen[bytes]) -> None:
    pids = house.pids()

    supervisor.send_signal(signal.SIGINT)

    assert supervisor.wait(30) == 0, house.shown()
    assert not any(alive(pid) for pid in pids.values())
    assert house.manage("status", "--json").returncode == 1


def second_start(house: House) -> subprocess.Popen[bytes]:
    started = time.monotonic()

    supervisor = house.up()

    assert time.monotonic() - started < 30
    assert "nothing to do" in house.shown()
    assert "rk_" not in house.shown().replace("rk_...", "")
    assert house.ask()["corpus_version"] == "v3"
    refused = house.manage("up", "--port", "0")
    assert refused.returncode == 1
    assert "running already" in refused.stderr
    return supervisor


def killed_supervisor(house: House, supervisor: subprocess.Popen[bytes]) -> None:
    """What it leaves behind is stopped by the next start, before anything else starts."""
    left = house.pids()
    supervisor.kill()
    supervisor.wait(10)
    assert all(alive(pid) for pid in left.values())

    again = house.up()

    assert all(f"stopped a {name} process" in house.shown() for name in PARTS)
    assert not any(alive(pid) for pid in left.values())
    house.ask()
    everything_stops(house, again)
