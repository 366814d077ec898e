"""A pytest plugin, loaded before the settings are read: tests see no `.env`, no real keys and no data of yours.

DATABASE_URL and REDIS_URL are kept: with them the same tests run against PostgreSQL and Redis.
"""

import os
import shutil
from pathlib import Path

import pytest

from ragsite.processes import free_port

DATA_DIR = Path(__file__).resolve().parent.parent / "data" / f"test-{os.getpid()}"
VENDORS = ("ANTHROPIC", "VOYAGE", "OPENAI", "COHERE")
KEPT = ("DATABASE_URL", "REDIS_URL")


def isolate(environment: dict[str, str] | os._Environ[str]) -> None:
    """Make the environment that of a fresh machine, with ports of our own."""
    for name in (f"{vendor}_{what}" for vendor in VENDORS for what in ("API_KEY", "BASE_URL")):
        environment.pop(name, None)
    environment.update(
        ENV_FILE="",
        DATA_DIR=str(DATA_DIR),
        DEBUG="true",
        SANDBOX_URL=f"http://127.0.0.1:{free_port(0)}",
        CHROMA_URL=f"http://127.0.0.1:{free_port(0)}",
        CACHE_PREFIX=f"ragsite-test-{os.getpid()}",
        ASK_RATE="100000/min",
        ANONYMIZED_TELEMETRY="False",
        ANTHROPIC_OPEN_TELEMETRY="false",
        ORT_DISABLE_TELEMETRY="1",
    )


isolate(os.environ)


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(DATA_DIR, ignore_errors=True)
