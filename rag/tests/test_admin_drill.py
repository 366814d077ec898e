"""The drill's page. The drill itself runs as it does for people: in a process of its own, against the same database."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection
from django.http import StreamingHttpResponse
from django.test import Client

from rag import clock
from rag.failure_table import GROUPS
from rag.ingest import ingest
from rag.models import ApiKey
from rag.tests.factories import StaffFactory
from rag.tests.test_drill import orders

PAGE = "/admin/drill/"


@pytest.fixture
def page(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture
def ready(page: Client, providers: str, documents: Path, settings: LazySettings) -> Client:
    settings.DEFAULT_CORPUS = "handbook"
    ingest(path=documents, corpus="handbook")
    return page


@pytest.fixture
def same_world(monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> None:
    """What a process started from here reads: the database, the corpus and the folder of this test."""
    known = connection.settings_dict
    where = f"{known['USER']}:{known['PASSWORD']}@{known['HOST']}:{known['PORT']}/{known['NAME']}"
    url = f"sqlite:///{known['NAME']}" if connection.vendor == "sqlite" else f"postgres://{where}"
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("DEFAULT_CORPUS", "handbook")
    monkeypatch.setenv("TRACE_DIR", str(settings.TRACE_DIR))
    monkeypatch.setenv("TRANSFORM_TIMEOUT_S", "1.5")


def test_it_offers_every_group(ready: Client) -> None:
    shown = ready.get(PAGE).content.decode()

    assert re.findall(r"<option>(\w+)</option>", shown) == list(GROUPS)


def test_strangers_are_sent_to_sign_in(client: Client, db: None) -> None:
    assert client.get(PAGE).headers["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("method", ["get", "post"])
def test_staff_without_all_rights_is_refused(method: str, client: Client, db: None) -> None:
    client.force_login(StaffFactory.create())

    assert getattr(client, method)(PAGE).status_code == 403


def test_a_form_of_another_site_is_refused(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)

    assert client.post(PAGE).status_code == 403


def test_it_is_refused_when_providers_are_real(ready: Client, settings: LazySettings) -> None:
    settings.PROVIDERS = settings.PROVIDERS | {"voyage": settings.PROVIDERS["voyage"] | {"mode": "live"}}

    shown, posted = ready.get(PAGE), ready.post(PAGE)

    assert "refused: providers are real (voyage)" in shown.content.decode()
    assert 'method="post"' not in shown.content.decode().partition('class="drill"')[2]
    assert (shown.status_code, posted.status_code) == (200, 409)


def pieces_of(response: object) -> Iterator[str]:
    """The pieces of a streamed response as they come."""
    assert isinstance(response, StreamingHttpResponse)
    content = cast(Iterator[bytes], response.streaming_content)
    return (piece.decode() for piece in content)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_table_grows_until_all_pass(ready: Client, same_world: None) -> None:
    pieces = list(pieces_of(ready.post(PAGE, {"name": "transform"})))

    rows = [piece for piece in pieces if piece.startswith("<tr>")]
    assert [re.findall("<code>(.*?)</code>", row)[0] for row in rows] == [
        "unbroken",
        "transform-500",
        "transform-timeout",
        "mended",
    ]
    assert "All pass." in pieces[-1]
    assert pieces[-1].rstrip().endswith("</html>")


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_drill_that_cannot_begin_says_why(ready: Client, same_world: None) -> None:
    shown = "".join(pieces_of(ready.post(PAGE, {"name": "--help"})))

    assert "there is no case &#x27;--help&#x27;" in shown


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_client_that_leaves_ends_the_drill(
    ready: Client, same_world: None, providers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RERANK_TIMEOUT_S", "60")
    response = ready.post(PAGE, {"name": "cohere-timeout"})
    pieces = pieces_of(response)
    while not any(order["kind"] == "hang" for order in orders(providers)):
        next(pieces)

    response.close()

    assert orders(providers) == []
    (key,) = ApiKey.objects.all()
    assert key.refusal(clock.now()) == "this API key was revoked"
