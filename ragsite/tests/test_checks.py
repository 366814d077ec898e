"""Every combination of settings that cannot be deployed is told by its id."""

from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from ragsite.checks import check_settings

POSTGRES = {"default": {"ENGINE": "django.db.backends.postgresql"}}
SQLITE = {"default": {"ENGINE": "django.db.backends.sqlite3"}}
SERVICE: dict[str, Any] = {"REDIS_URL": "redis://localhost", "DATABASES": POSTGRES, "WEB_PROCESSES": 4}

# Django warns when a test changes DATABASES; nothing connects here, the check only reads the name of the engine.
pytestmark = pytest.mark.filterwarnings("ignore:Overriding setting DATABASES:UserWarning")


def ids_with(**changes: Any) -> list[str | None]:
    with override_settings(**changes):
        return [message.id for message in check_settings(None)]


def test_the_defaults_are_silent() -> None:
    assert check_settings(None) == []


def test_the_checks_are_registered() -> None:
    with override_settings(WEB_THREADS=0):
        found = {message.id for message in run_checks()}

    assert "ragsite.E004" in found


def test_a_service_with_postgresql_and_redis_is_silent() -> None:
    assert ids_with(**SERVICE, DEBUG=False, ALLOWED_HOSTS=["example.org"], SECRET_KEY="long and random") == []


def test_a_missing_secret_key_is_refused() -> None:
    assert ids_with(SECRET_KEY="") == ["ragsite.E001"]


def test_debug_off_without_hosts_is_refused() -> None:
    assert ids_with(DEBUG=False, ALLOWED_HOSTS=[]) == ["ragsite.E002"]


def test_debug_on_without_hosts_is_fine() -> None:
    assert ids_with(DEBUG=True, ALLOWED_HOSTS=[]) == []


def test_several_processes_without_redis_are_refused() -> None:
    assert ids_with(**SERVICE | {"REDIS_URL": ""}) == ["ragsite.E003"]


def test_several_processes_on_sqlite_are_warned_of() -> None:
    assert ids_with(**SERVICE | {"DATABASES": SQLITE}) == ["ragsite.W001"]


def test_one_process_needs_neither() -> None:
    assert ids_with(WEB_PROCESSES=1, REDIS_URL="", DATABASES=SQLITE) == []


@pytest.mark.parametrize("changes", [{"WEB_PROCESSES": 0}, {"WEB_PROCESSES": -1}, {"WEB_THREADS": 0}])
def test_no_processes_or_threads_are_refused(changes: dict[str, int]) -> None:
    assert ids_with(**changes) == ["ragsite.E004"]
