"""The secrets of channels at rest."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from costs import deliveries
from costs.alerts import raise_test
from costs.models import AlertChannel, DeliveryTry
from costs.sealing import SealBroken, opened, seal
from costs.tests.factories import make_channel
from costs.tests.receiving import Receiver

pytestmark = pytest.mark.django_db


def stored(channel: AlertChannel) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM costs_alertchannel WHERE id = %s", [channel.pk])
        return str(cursor.fetchall())


def test_the_database_does_not_hold_the_secret() -> None:
    channel = make_channel("https://example.org/")

    assert len(channel.secret) == 43
    assert channel.secret not in stored(channel)


def test_two_seals_of_one_secret_differ() -> None:
    assert seal("the same") != seal("the same")
    assert opened(seal("the same")) == "the same"


def test_nothing_shows_the_secret() -> None:
    channel = make_channel("https://example.org/")

    assert channel.secret not in f"{channel!r} {channel} {vars(channel)}"


def test_an_earlier_key_still_opens(settings: Settings) -> None:
    channel = make_channel("https://example.org/")
    secret, old = channel.secret, settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new key, long and random enough", [old]

    assert AlertChannel.objects.get().secret == secret


def test_after_resealing_the_earlier_key_is_not_needed(settings: Settings) -> None:
    channel = make_channel("https://example.org/")
    secret, old = channel.secret, settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new key, long and random enough", [old]

    call_command("reseal")
    settings.SECRET_KEY_FALLBACKS = []

    assert AlertChannel.objects.get().secret == secret


def test_a_lost_key_is_told_by_name_and_with_what_to_do(settings: Settings) -> None:
    make_channel("https://example.org/", name="n8n")
    settings.SECRET_KEY = "a new key, long and random enough"

    with pytest.raises(SealBroken, match="SECRET_KEY_FALLBACKS"):
        AlertChannel.objects.get().secret  # noqa: B018
    with pytest.raises(CommandError, match="n8n"):
        call_command("reseal")


def test_a_delivery_under_a_lost_key_fails_as_others_do(settings: Settings, receiver: Receiver) -> None:
    channel = make_channel(receiver.url)
    settings.SECRET_KEY = "a new key, long and random enough"

    delivery = raise_test(channel, at=timezone.now())
    deliveries.deliver(delivery.pk, timezone.now())

    assert "SECRET_KEY was changed" in DeliveryTry.objects.get().error
    assert receiver.got == []


def test_a_tampered_seal_does_not_open() -> None:
    sealed = seal("secret")

    with pytest.raises(SealBroken):
        opened(sealed[:-4] + ("AAA=" if not sealed.endswith("AAA=") else "BBB="))


def test_the_migration_seals_what_stood_there_and_takes_it_back() -> None:
    """Its steps with rows as they were before; the columns themselves are made by every test database."""
    moved = import_module("costs.migrations.0120_sealed_channel_secrets")
    row = SimpleNamespace(secret="as it was", sealed_secret="", save=lambda update_fields: None)
    manager = SimpleNamespace(using=lambda alias: SimpleNamespace(all=lambda: [row]))
    apps = SimpleNamespace(get_model=lambda app, model: SimpleNamespace(objects=manager))
    editor = SimpleNamespace(connection=connection)

    moved.seal(apps, editor)
    assert opened(row.sealed_secret) == "as it was"

    row.secret = ""
    moved.unseal(apps, editor)
    assert row.secret == "as it was"
