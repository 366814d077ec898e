"""`make service`: the whole service mode on one machine, and what it says where something is missing."""

import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from django.conf import LazySettings, settings
from django.core.management import CommandError, call_command
from psycopg import sql

from ragsite import backing, nginx
from ragsite.processes import free_port
from ragsite.tests.proxied import the_nginx
from ragsite.tests.test_up import QUESTION, House, alive, eventually

PARTS = {"sandbox", "chroma", "worker", "ingests", "beat", "web", "nginx"}
GIVEN_DATABASE, GIVEN_REDIS = os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", "")
needs_services = pytest.mark.skipif(not (GIVEN_DATABASE and GIVEN_REDIS), reason="needs DATABASE_URL and REDIS_URL")


class ServiceHouse(House):
    """A data folder, and a database of its own on the server that is given."""

    def __init__(self, folder: Path, database_url: str) -> None:
        super().__init__(folder)
        self.database_url, self.port = database_url, free_port(0)

    def environment(self) -> dict[str, str]:
        given = {"DATABASE_URL": self.database_url, "REDIS_URL": GIVEN_REDIS, "ALLOW_SANDBOX": "true"}
        own = {"STATIC_ROOT": str(self.folder / "static"), "CACHE_PREFIX": self.folder.name}
        return super().environment() | given | own

    def command(self) -> list[str]:
        return [sys.executable, "manage.py", "service", "--port", str(self.port), "--sample"]

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        trust = ssl.create_default_context(cafile=str(self.folder / "nginx" / "tls" / "self-made.crt"))
        headers = {"Authorization": f"Bearer {self.key}"}
        with httpx.Client(
            base_url=f"https://localhost:{self.port}", verify=trust, headers=headers, timeout=60
        ) as client:
            yield client

    def answers(self) -> bool:
        with self.client() as client:
            try:
                return "22:00" in client.post("/api/ask", json=QUESTION).json().get("answer", "")
            except (httpx.HTTPError, ValueError):
                return False


@contextmanager
def database_of_its_own() -> Iterator[str]:
    server, _, _ = GIVEN_DATABASE.rpartition("/")
    name = f"service_{uuid4().hex[:12]}"
    with psycopg.connect(GIVEN_DATABASE, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield f"{server}/{name}"
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def house() -> Iterator[ServiceHouse]:
    the_nginx()
    with database_of_its_own() as database_url:
        made = ServiceHouse(settings.DATA_DIR / f"service-{uuid4().hex[:8]}", database_url)
        yield made
        for pid in made.strays():
            os.kill(pid, signal.SIGKILL)


@needs_services
def test_the_service_mode_answers_behind_nginx_and_leaves_nothing_behind(house: ServiceHouse) -> None:
    supervisor = started(house)
    assert set(house.parts()) == PARTS
    assert house.manage("status").returncode == 0
    assert house.answers()
    assert several_web_workers(house)
    assert "faults=()" in by_hand(house, "from evals import proxy_check; print(proxy_check.reached())")

    before = house.pids()
    for name in ("nginx", "web", "beat"):
        os.killpg(before[name], signal.SIGKILL)
    eventually(lambda: all(house.pids()[name] != before[name] for name in ("nginx", "web", "beat")), "new processes")
    eventually(house.answers, "an answer after they were killed")

    supervisor.kill()
    supervisor.wait()
    supervisor = started(house)  # at its port, which the nginx that was left behind had held
    assert "stopped a nginx process that an earlier run had left behind" in house.shown()
    assert house.answers()

    pids = house.pids()
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(40) == 0, house.shown()
    assert not any(alive(pid) for pid in pids.values())
    assert house.strays() == []


def started(house: ServiceHouse) -> subprocess.Popen[bytes]:
    with house.screen.open("wb") as out:
        process = subprocess.Popen(
            house.command(),
            stdout=out,
            stderr=out,
            cwd=settings.BASE_DIR,
            env=house.environment(),
            start_new_session=True,
        )
    what = "running in service mode"
    eventually(lambda: what in house.shown() or process.poll() is not None, "the screen", within_s=180)
    assert process.poll() is None, house.shown()
    if not house.key:  # it is shown once
        key = re.search(r"rk_[0-9a-f]{8}_[\w-]{43}", house.shown())
        assert key is not None
        house.key = key.group()
    return process


def by_hand(house: ServiceHouse, code: str) -> str:
    """A command beside the service, with nothing but the file that the screen names."""
    named = re.search(r"export ENV_FILE=(\S+)", house.shown())
    assert named is not None
    assert Path(named.group(1)).stat().st_mode & 0o777 == 0o600
    environment = {"PATH": os.environ["PATH"], "ENV_FILE": named.group(1)}
    return subprocess.run(
        [sys.executable, "manage.py", "shell", "-c", code],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def several_web_workers(house: ServiceHouse) -> bool:
    listed = subprocess.run(
        ["/bin/ps", "-o", "pid=", "--ppid", str(house.pids()["web"])], capture_output=True, text=True, check=False
    )
    return len(listed.stdout.split()) >= 2


@pytest.mark.django_db
def test_without_postgresql_it_says_how_to_get_it(settings: LazySettings) -> None:
    if settings.DATABASES["default"]["ENGINE"].endswith("postgresql"):
        backing.postgresql()
        return
    with pytest.raises(backing.NotThere, match="DATABASE_URL names none"):
        backing.postgresql()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "REDIS_URL is empty"),
        ("redis://:geheim123@127.0.0.1:9/0", "Redis does not answer"),
        ("nonsense", "not answer"),
    ],
)
def test_without_redis_it_says_how_to_get_it_and_no_password(url: str, told: str, settings: LazySettings) -> None:
    settings.REDIS_URL = url

    with pytest.raises(backing.NotThere, match=told) as caught:
        backing.redis_server()

    assert "apt-get install redis-server" in str(caught.value)
    assert "geheim123" not in str(caught.value)


def test_the_data_folder_of_the_embedded_mode_is_refused(tmp_path: Path, settings: LazySettings) -> None:
    settings.DATA_DIR = tmp_path
    (tmp_path / "ragsite.sqlite3").touch()

    with pytest.raises(backing.NotThere, match="DATA_DIR=data/service"):
        backing.own_folder()


def test_without_nginx_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(nginx, "BINARY_FOLDERS", str(tmp_path))

    with pytest.raises(CommandError, match="apt-get install nginx-light"):
        call_command("service")


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(CommandError, match="belong together"):
        call_command("service", certificate=Path("site.crt"))
