"""The pages of API keys."""

import re
from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from rag import clock
from rag.models import ApiKey
from rag.tests.factories import ApiKeyFactory, StaffFactory

pytestmark = pytest.mark.django_db
LIST = "/admin/rag/apikey/"


@pytest.fixture
def staff_page(client, alice):
    client.force_login(alice)
    return client


def make_key(client, **fields):
    form = {"name": "intranet", "scopes": ["ask", "read"], "expires_at_0": "", "expires_at_1": ""} | fields
    return client.post(reverse("admin:rag_apikey_add"), form, follow=True)


def test_it_shows_a_new_key_once(staff_page):
    text = make_key(staff_page).content.decode()

    (full_key,) = re.findall(r"rk_[0-9a-f]{8}_[\w-]{43}", text)
    assert ApiKey.objects.get().matches(full_key.split("_", 2)[2])
    assert full_key not in staff_page.get(LIST).content.decode()


def test_it_stores_the_secret_nowhere(staff_page):
    text = make_key(staff_page).content.decode()

    (secret,) = re.findall(r"rk_[0-9a-f]{8}_([\w-]{43})", text)
    row = ApiKey.objects.values().get()
    log = list(LogEntry.objects.values_list("object_repr", "change_message"))
    assert secret not in f"{row} {log}"


def test_it_keeps_the_scopes_as_a_list(staff_page):
    make_key(staff_page, scopes=["read"])

    assert ApiKey.objects.get().scopes == ["read"]


@pytest.mark.parametrize("scopes", [[], ["root"]])
def test_it_refuses_no_scope_and_unknown_scopes(staff_page, scopes):
    make_key(staff_page, scopes=scopes)

    assert not ApiKey.objects.exists()


def test_it_escapes_the_name_of_a_new_key(staff_page):
    text = make_key(staff_page, name="<script>alert(1)</script>").content.decode()

    assert "<script>alert(1)" not in text


def test_it_changes_name_and_expiry_and_leaves_the_secret(staff_page):
    key = ApiKeyFactory.create()
    form = {"name": "renamed", "expires_at_0": "2030-01-01", "expires_at_1": "00:00:00"}

    staff_page.post(reverse("admin:rag_apikey_change", args=[key.pk]), form)

    now = ApiKey.objects.get()
    assert (now.name, now.expires_at) == ("renamed", datetime(2030, 1, 1, tzinfo=UTC))
    assert (now.secret_sha256, now.scopes) == (key.secret_sha256, key.scopes)


def test_it_revokes_a_key(staff_page):
    key = ApiKeyFactory.create()

    staff_page.post(f"{LIST}{key.pk}/revoke/", {"why": "leaked"})

    key.refresh_from_db()
    assert key.refusal(clock.now()) == "this API key was revoked"


def test_it_keeps_the_moment_of_the_first_revocation(staff_page):
    revoked_at = clock.now()
    key = ApiKeyFactory.create(revoked_at=revoked_at)

    staff_page.post(LIST, {"action": "revoke_selected", "_selected_action": [key.pk]})

    key.refresh_from_db()
    assert key.revoked_at == revoked_at


def test_it_revokes_the_selected_keys(staff_page):
    keys = ApiKeyFactory.create_batch(2)

    staff_page.post(LIST, {"action": "revoke_selected", "_selected_action": [key.pk for key in keys]})

    assert not ApiKey.objects.filter(revoked_at=None).exists()


def test_it_lets_nobody_revoke_without_the_permission(client):
    key = ApiKeyFactory.create()
    client.force_login(StaffFactory.create())

    assert client.post(f"{LIST}{key.pk}/revoke/", {"why": "x"}).status_code == 403


def test_it_deletes_no_key(staff_page):
    key = ApiKeyFactory.create()

    assert staff_page.post(reverse("admin:rag_apikey_delete", args=[key.pk])).status_code == 403
