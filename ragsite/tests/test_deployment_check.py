"""`manage.py check --deploy` with the settings of a service."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

SERVICE = {
    "DEBUG": "false",
    "SECRET_KEY": "Zk3vX9q2LmT8wRb5NcY7dHf4JpGs6AuE1oWiKxMnQtVyBz0CrDlF",
    "ALLOWED_HOSTS": "rag.example.org",
    "TRUSTED_PROXIES": "127.0.0.1",
    "DATABASE_URL": "postgres://ragsite:password@127.0.0.1:5432/ragsite",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "CHROMA_URL": "http://127.0.0.1:8000",
    "WEB_PROCESSES": "2",
    "EMAIL_URL": "smtp://127.0.0.1:25",
    "PUBLIC_URL": "https://rag.example.org",
    "CSRF_TRUSTED_ORIGINS": "https://rag.example.org",
    **{f"{vendor}_API_KEY": "a-key-of-theirs" for vendor in ("ANTHROPIC", "VOYAGE", "OPENAI", "COHERE")},
}


def checked(**changes: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("SANDBOX_URL", "CACHE_PREFIX")}
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        env=kept | SERVICE | changes,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_service_has_nothing_to_be_warned_of() -> None:
    done = checked()

    assert done.stderr + done.stdout == "System check identified no issues (0 silenced).\n"
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"SECRET_KEY": "short"}, "security.W009"), ({"BEHIND_TLS": "false"}, "security.W008")],
)
def test_what_would_be_weak_is_told(changes: dict[str, str], named: str) -> None:
    done = checked(**changes)

    assert done.returncode == 1
    assert named in done.stderr
