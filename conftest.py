"""One small world for all tests: alice is staff, bob is a client with a key, and a corpus of a few documents is ingested once.

Chroma and the sandbox are the real programs, started here for the session on ports of their own.
"""

import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.cache import caches
from django.core.management import call_command
from django.db.backends.base.creation import BaseDatabaseCreation
from django.test import TransactionTestCase
from rest_framework.test import APIClient

import completion.guards
import costs.guards
import prompts.guards
import ragsite.audit_guards
from rag.ingest import IngestReport, ingest
from rag.models import ApiKey

ROOT = Path(__file__).parent
GUARDS = (completion.guards, costs.guards, prompts.guards, ragsite.audit_guards)
DOCUMENTS = {
    "handbook/leave.md": """# Leave policy

## Carrying leave over

Unused annual leave of up to five days may be carried over into the next calendar year. It lapses on 31 March.

## Sickness

A certificate is due from the third day of absence. Days of sickness during annual leave are credited back.
""",
    "handbook/travel.md": """# Travel

## Booking trains

Train tickets are booked through the portal up to the day of travel. First class needs the approval of the head of the unit.

## Expenses

Receipts are handed in within thirty days of the journey. `EXPENSE_LIMIT_EUR` is 120 for a hotel night.
""",
    "ops/backup.rst": """Backups
=======

Schedule
--------

Full backups run on Sundays at 02:00. Incremental backups run every other night and are kept for thirty days.

Restoring a single table
------------------------

Stop the writer first. Then run ``bkctl restore --table NAME --at TIME``, which loads the table under another name.
""",
    "ops/alerts.txt": "The on-call engineer is paged when two probes fail within five minutes.\nThe app acknowledges pages.",
}


def serve(command: list[str], probe: str, log: Path) -> Iterator[None]:
    """Run a program until the session ends, once it answers its probe."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out, subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT) as process:
        deadline = time.monotonic() + 60
        while not answers(probe):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"{command[2]} did not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        try:
            yield
        finally:
            process.terminate()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")


def pytest_configure() -> None:
    """Signing alice in should not cost a second of hashing, and a test's rows belong to its own transaction."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.ROWS_DELAY_MS = 0


@pytest.fixture(scope="session")
def sandbox() -> Iterator[str]:
    """The sandbox's URL."""
    port = settings.SANDBOX_URL.rpartition(":")[2]
    command = [sys.executable, "-m", "sandbox", "--port", port, "--data-dir", str(settings.DATA_DIR / "sandbox")]
    for _ in serve(command, f"{settings.SANDBOX_URL}/healthz", settings.DATA_DIR / "sandbox.log"):
        yield settings.SANDBOX_URL


@pytest.fixture(scope="session")
def chroma() -> Iterator[str]:
    """The Chroma server's URL."""
    port = settings.CHROMA_URL.rpartition(":")[2]
    binary = str(Path(sys.executable).with_name("chroma"))
    command = [binary, "run", "--host", "127.0.0.1", "--port", port, "--path", str(settings.DATA_DIR / "chroma")]
    for _ in serve(command, f"{settings.CHROMA_URL}/api/v2/heartbeat", settings.DATA_DIR / "chroma.log"):
        yield settings.CHROMA_URL


@pytest.fixture
def providers(sandbox: str, chroma: str) -> Iterator[str]:
    """Both programs, with no fault left over from another test; gives the sandbox's URL."""
    httpx.delete(f"{sandbox}/_control").raise_for_status()
    yield sandbox
    httpx.delete(f"{sandbox}/_control").raise_for_status()


@pytest.fixture(scope="session", autouse=True)
def tables_can_be_emptied() -> Iterator[None]:
    """Tests with transactions of their own empty and refill all tables, which the guards refuse otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        refill, empty = (
            BaseDatabaseCreation.deserialize_db_from_string,
            TransactionTestCase._fixture_teardown,  # type: ignore[attr-defined]
        )
        patch.setattr(BaseDatabaseCreation, "deserialize_db_from_string", unguarded(into_empty_tables(refill)))
        patch.setattr(TransactionTestCase, "_fixture_teardown", unguarded(empty))
        yield


def into_empty_tables(refill: Callable[[BaseDatabaseCreation, str], None]) -> Callable[..., None]:
    """Emptying makes content types and permissions anew, under other numbers than those that are to be refilled."""

    @functools.wraps(refill)
    def taken(creation: BaseDatabaseCreation, data: str) -> None:
        alias = creation.connection.alias
        call_command(
            "flush", verbosity=0, interactive=False, database=alias, reset_sequences=False, inhibit_post_migrate=True
        )
        refill(creation, data)
        ContentType.objects.clear_cache()

    return taken


def unguarded(step: Callable[..., None]) -> Callable[..., None]:
    """`step` of Django's own, with the guards down meanwhile."""

    @functools.wraps(step)
    def taken(*args: object, **kwargs: object) -> None:
        for each in GUARDS:
            each.take_down()
        try:
            step(*args, **kwargs)
        finally:
            for each in GUARDS:
                each.put_up()

    return taken


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """A folder with the small world's documents."""
    folder = tmp_path / "documents"
    for name, text in DOCUMENTS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


@pytest.fixture
def corpus(db: None, providers: str, documents: Path) -> IngestReport:
    """The documents, ingested as the corpus `handbook`."""
    return ingest(path=documents, corpus="handbook")


@pytest.fixture
def alice(db: None) -> User:
    """A member of staff who may do everything."""
    return User.objects.create_superuser(username="alice", password="alice")


@pytest.fixture
def bobs_key(db: None) -> str:
    """The full API key of a client who may ask and read."""
    key = ApiKey(name="bob", scopes=["ask", "read"])
    full_key = key.make_secret()
    key.save()
    return full_key


@pytest.fixture
def bob(bobs_key: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {bobs_key}")
    return client


@pytest.fixture(autouse=True)
def fresh_state(tmp_path: Path) -> Iterator[None]:
    """Every test writes its traces into a folder of its own, and finds the cache empty."""
    old = settings.TRACE_DIR
    settings.TRACE_DIR = tmp_path / "traces"
    for cache in caches.all(initialized_only=True):
        cache.clear()
    yield
    settings.TRACE_DIR = old


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In CI a skipped test is a failure: a missing service must not look like success."""
    if not os.environ.get("CI"):
        return
    for item in items:
        for mark in item.iter_markers("skip"):
            pytest.fail(f"{item.nodeid} is skipped in CI: {mark.kwargs.get('reason', '')}", pytrace=False)
