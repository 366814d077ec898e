"""`manage.py prepare`: everything that has to be there before the site can serve. Doing it again changes nothing."""

import json
import secrets
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from rag.models import ApiKey
from ragsite import sample

WAIT_S = 60.0


class Command(BaseCommand):
    help = "Migrate, make the first admin user and API key, ingest the sample. Used by `make run` and `make service`."

    requires_system_checks = ()  # they run below, once the tables are there

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--secrets-to", type=Path, help="write what is shown only once into this file, as JSON")
        parser.add_argument("--without-sample", action="store_true", help="no sample corpus")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        call_command("check", databases=["default"])
        fresh = {"password": first_admin(), "api_key": first_key()}
        if options["secrets_to"]:
            remember(options["secrets_to"], fresh)
        if settings.STATIC_ROOT:
            call_command("collectstatic", interactive=False, verbosity=0)
        wait_for(f"{settings.CHROMA_URL}/api/v2/heartbeat")
        if not options["without_sample"]:
            ingest_sample()


def ingest_sample() -> None:
    try:
        folder = sample.fetch(Path(settings.DATA_DIR) / "sample")
    except sample.SampleUnavailable as error:
        raise CommandError(str(error)) from error
    if any(provider["mode"] == "simulated" for provider in settings.PROVIDERS.values()):
        wait_for(f"{settings.SANDBOX_URL}/healthz")
    call_command("ingest", folder, corpus=sample.CORPUS, url=sample.URL_TEMPLATE)


def remember(path: Path, fresh: dict[str, str | None]) -> None:
    """Write what is shown only once; what an earlier, failed start has left there stays unless it was made again."""
    path.touch(mode=0o600)
    earlier = json.loads(path.read_text() or "{}")
    path.write_text(json.dumps(fresh | earlier | {name: value for name, value in fresh.items() if value}))


def first_admin() -> str | None:
    """The password of a new user `admin`, or None when there is a superuser already."""
    users = get_user_model()
    if users.objects.filter(is_superuser=True).exists():
        return None
    password = secrets.token_urlsafe(12)
    users.objects.create_superuser(username="admin", password=password)
    return password


def first_key() -> str | None:
    """A new API key, or None when there is one already."""
    if ApiKey.objects.exists():
        return None
    key = ApiKey(name="first key", scopes=list(ApiKey.SCOPES))
    full_key = key.make_secret()
    key.save()
    return full_key


def wait_for(url: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            if httpx.get(url, timeout=2).is_success:
                return
        except httpx.HTTPError as error:
            if time.monotonic() > deadline:
                raise CommandError(f"nothing answers at {url}: {error}") from error
        time.sleep(0.2)
