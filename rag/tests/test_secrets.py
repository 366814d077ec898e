"""Canaries: secrets of which no letter may come out again, whatever goes wrong."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import LazySettings, settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client, RequestFactory
from django.views.debug import ExceptionReporter

from costs.tests.factories import make_channel
from rag import provider_stack
from rag.errors import ProviderError, RagError
from rag.ingest import IngestReport
from rag.models import ApiKey, TraceSummary
from rag.providers.contracts import Endpoint
from rag.providers.mapping import error_for_status, error_for_transport
from rag.tests.small_world import asked, break_provider
from ragsite import secrets
from ragsite.logs import LineFormatter

VENDORS = ("anthropic", "voyage", "openai", "cohere")
CANARY = "canary-of-{}-7f3a9c"


@pytest.fixture
def canaries(settings: LazySettings) -> list[str]:
    """Keys of our own for all four providers, and passwords in addresses."""
    provider_stack.forget_breakers()
    settings.PROVIDERS = {vendor: settings.PROVIDERS[vendor] | {"api_key": CANARY.format(vendor)} for vendor in VENDORS}
    settings.ANTHROPIC_ADMIN_KEY = CANARY.format("admin")
    settings.EMAIL_URL = f"smtp://mail:{CANARY.format('mail')}@localhost:25"
    settings.REDIS_URL = f"redis://:{CANARY.format('redis')}@localhost/0"
    names = (*VENDORS, "admin", "mail", "redis")
    return [settings.SECRET_KEY, *(CANARY.format(name) for name in names)]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[io.StringIO]:
    """What our handler writes of everything."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter())
    logging.getLogger().addHandler(handler)
    with caplog.at_level(logging.DEBUG):
        yield stream
    logging.getLogger().removeHandler(handler)


def none_in(text: str, canaries: list[str]) -> None:
    assert [each for each in canaries if each in text] == []


def test_every_kind_of_secret_is_known(canaries: list[str]) -> None:
    assert set(canaries) <= set(secrets.known())


def test_a_secret_is_masked_wherever_it_stands(canaries: list[str]) -> None:
    text = " and ".join(f"sk={each}!" for each in canaries)

    assert secrets.masked(text) == " and ".join([f"sk={secrets.MASK}!"] * len(canaries))
    assert secrets.masked("nothing secret here") == "nothing secret here"


def test_a_password_in_an_address_is_known_as_it_is_meant_too() -> None:
    assert secrets.passwords("redis://:p%40ssword@h/0") == {"p%40ssword", "p@ssword"}
    assert secrets.passwords("http://[") == set()


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_vendor_that_quotes_the_key_is_not_quoted(vendor: str, canaries: list[str]) -> None:
    told = [
        error_for_status(provider=vendor, status=401, message=f"Incorrect API key provided: {CANARY.format(vendor)}"),
        error_for_transport(
            provider=vendor, error=httpx.LocalProtocolError(f"Illegal header value b'Bearer {CANARY.format(vendor)}'")
        ),
        ProviderError(f"{vendor}: {CANARY.format(vendor)}", provider=vendor),
    ]

    for error in told:
        none_in(f"{error} {error!r} {error.args}", canaries)
        assert secrets.MASK in str(error)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fault", [{"kind": "status", "status": 401}, {"kind": "status", "status": 500}, {"kind": "hang"}]
)
def test_a_failing_call_leaves_no_secret_behind(
    fault: dict[str, Any], canaries: list[str], corpus: IngestReport, impatient: None, log: io.StringIO
) -> None:
    for endpoint in ("anthropic.messages", "voyage.embeddings"):
        break_provider(settings.SANDBOX_URL, endpoint, **fault)

    with pytest.raises(RagError) as failed:
        asked()

    files = "".join(path.read_text("utf-8") for path in Path(settings.TRACE_DIR).rglob("*.jsonl"))
    rows = f"{list(TraceSummary.objects.values())}"
    assert files
    none_in(f"{failed.value!r} {failed.value.__cause__!r} {files} {rows} {log.getvalue()}", canaries)


def test_an_exception_in_the_log_is_masked_with_all_its_lines(canaries: list[str], log: io.StringIO) -> None:
    try:
        raise ValueError(f"connecting with {canaries[1]}")
    except ValueError:
        logging.getLogger("anywhere").exception("failed with %s", canaries[2], extra={"key": canaries[3]})

    none_in(log.getvalue(), canaries)
    assert log.getvalue().count(secrets.MASK) >= 3


def test_the_page_of_an_unexpected_error_shows_no_setting_that_holds_a_secret(canaries: list[str]) -> None:
    """Shown with DEBUG on, and mailed to ADMINS."""
    try:
        raise RuntimeError("unexpected")
    except RuntimeError as error:
        reporter = ExceptionReporter(RequestFactory().get("/"), RuntimeError, error, error.__traceback__)
        frames = reporter.get_traceback_data()
        shown = f"{frames['settings']} {frames['filtered_POST_items']} {frames['request_meta']}"

    none_in(shown, canaries)


def test_system_checks_tell_no_secret(canaries: list[str]) -> None:
    out, err = io.StringIO(), io.StringIO()

    try:
        call_command("check", deploy=True, stdout=out, stderr=err)
    except SystemCheckError as told:
        err.write(str(told))

    assert out.getvalue() + err.getvalue()
    none_in(out.getvalue() + err.getvalue(), canaries)


@pytest.mark.django_db
def test_nothing_shows_its_secret_by_repr(canaries: list[str]) -> None:
    key = ApiKey(name="intranet", scopes=["ask"])
    full_key = key.make_secret()
    channel = make_channel("https://hooks.example.org/services/T000/B000/XXXX")
    endpoint = Endpoint("anthropic", "https://api.example.org", canaries[1], "live", 1.0)
    shown = f"{key!r} {key} {channel!r} {channel} {endpoint!r} {endpoint}"

    none_in(shown, [*canaries, full_key.split("_", 2)[2], key.secret_sha256, channel.secret, "T000"])


@pytest.mark.django_db
def test_who_only_looks_sees_the_host_of_a_webhook_alone(client: Client, alice: User) -> None:
    channel = make_channel("https://user:pw@hooks.example.org/services/T000/B000/XXXX")
    page = f"/admin/costs/alertchannel/{channel.pk}/change/"
    auditor = User.objects.create_user("audrey", is_staff=True)
    auditor.groups.add(*auditor.groups.model.objects.filter(name="auditor"))
    client.force_login(auditor)

    for address in (page, "/admin/costs/alertchannel/"):
        text = client.get(address).content.decode()
        assert "hooks.example.org/…" in text
        none_in(text, ["T000", "user:pw", channel.secret, channel.sealed_secret])

    client.force_login(alice)
    assert "T000" in client.get(page).content.decode()
