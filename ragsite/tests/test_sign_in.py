"""Guessing passwords is slow, and nobody is locked out by a stranger."""

import subprocess
import sys
from typing import Any

import pytest
from django.conf import LazySettings, settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.http.response import HttpResponseBase
from django.test import Client

from ragsite import sign_in

pytestmark = pytest.mark.django_db
PAGE = "/admin/login/"


@pytest.fixture(autouse=True)
def forgetful() -> None:
    sign_in.local.clear()


def tried(client: Client, password: str = "wrong", *, name: str = "alice", address: str = "203.0.113.7") -> Any:  # noqa: S107
    return client.post(PAGE, {"username": name, "password": password}, REMOTE_ADDR=address)


def signed_in(response: HttpResponseBase) -> bool:
    return response.status_code == 302


def test_the_right_password_signs_in(client: Client, alice: User) -> None:
    assert signed_in(tried(client, "alice"))
    assert client.get("/admin/").status_code == 200


def test_guesses_are_refused_after_a_few_whatever_the_password(client: Client, alice: User) -> None:
    for _ in range(sign_in.BY_ADDRESS_AND_NAME.attempts):
        assert tried(client).status_code == 200

    refused = tried(client, "alice")

    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "900"
    assert "Too many attempts. Try again in 15 minutes." in refused.content.decode()


def test_the_name_is_one_however_it_is_written(client: Client, alice: User) -> None:
    for n in range(sign_in.BY_ADDRESS_AND_NAME.attempts):
        tried(client, name="alice" if n % 2 else "ALICE")

    assert tried(client, "alice").status_code == 429


def test_her_own_mistakes_are_forgiven(client: Client, alice: User) -> None:
    for _ in range(3):
        for _ in range(sign_in.BY_ADDRESS_AND_NAME.attempts - 1):
            tried(client)
        assert signed_in(tried(Client(), "alice"))


def test_guesses_at_many_names_from_one_address_are_refused(client: Client, alice: User) -> None:
    for n in range(sign_in.BY_ADDRESS.attempts):
        tried(client, name=f"user-{n}")

    assert tried(client, "alice").status_code == 429
    assert signed_in(tried(client, "alice", address="203.0.113.8"))


def test_an_ipv6_network_counts_as_one_address(client: Client, alice: User) -> None:
    for n in range(sign_in.BY_ADDRESS.attempts):
        tried(client, name=f"user-{n}", address=f"2001:db8::{n:x}")

    assert tried(client, "alice", address="2001:db8::ffff:1").status_code == 429
    assert signed_in(tried(client, "alice", address="2001:db8:0:1::1"))


def test_guesses_from_everywhere_are_refused(client: Client, alice: User) -> None:
    for n in range(sign_in.BY_NAME.attempts):
        tried(client, address=f"198.51.{n}.1")

    assert tried(client, "alice", address="203.0.113.9").status_code == 429


def test_a_stranger_who_knows_the_name_does_not_lock_its_owner_out(alice: User) -> None:
    hers, strangers = Client(), Client()
    assert signed_in(tried(hers, "alice"))
    hers.post("/admin/logout/")
    for n in range(sign_in.BY_NAME.attempts + 1):
        tried(strangers, address=f"198.51.{n}.1")

    assert tried(strangers, "alice", address="192.0.2.1").status_code == 429
    assert signed_in(tried(hers, "alice", address="192.0.2.2"))


def test_the_cookie_of_a_known_browser_opens_nothing(alice: User) -> None:
    thief = Client()
    tried(thief, "alice")
    thief.cookies.pop("sessionid")
    for _ in range(sign_in.BY_BROWSER.attempts):
        tried(thief)

    assert tried(thief, "alice").status_code == 429


def test_a_cookie_of_another_name_or_a_forged_one_does_not_help(alice: User) -> None:
    User.objects.create_user("mallory", password="mallory", is_staff=True)
    other, forger = Client(), Client()
    tried(other, "mallory", name="mallory", address="192.0.2.3")
    forger.cookies[sign_in.COOKIE] = "eyJuYW1lIjoiYWxpY2UifQ:1abc:forged"
    for client in (other, forger):
        cache.clear()
        for _ in range(sign_in.BY_ADDRESS_AND_NAME.attempts):
            tried(client)
        assert tried(client, "alice").status_code == 429


def test_the_cookie_is_for_the_sign_in_page_alone_and_out_of_reach_of_scripts(client: Client, alice: User) -> None:
    cookie = tried(client, "alice").cookies[sign_in.COOKIE]

    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (PAGE, True, "Strict")


def test_attempts_that_try_nothing_are_not_counted(client: Client, alice: User) -> None:
    for _ in range(sign_in.BY_ADDRESS.attempts + 1):
        client.post(PAGE, {"username": "alice", "password": ""}, REMOTE_ADDR="203.0.113.7")

    assert signed_in(tried(client, "alice"))


def test_what_a_client_says_of_its_address_is_not_believed(client: Client, alice: User) -> None:
    for n in range(sign_in.BY_ADDRESS_AND_NAME.attempts):
        client.post(PAGE, {"username": "alice", "password": "x"}, headers={"X-Forwarded-For": f"198.51.100.{n}"})

    refused = client.post(
        PAGE, {"username": "alice", "password": "alice"}, headers={"X-Forwarded-For": "198.51.100.99"}
    )

    assert refused.status_code == 429


def test_it_counts_while_the_shared_cache_is_away(client: Client, alice: User, settings: LazySettings) -> None:
    away = {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": "redis://127.0.0.1:9/0",
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 0.5, "IGNORE_EXCEPTIONS": True},
    }
    settings.CACHES = {"default": away, "answers": away}
    for _ in range(sign_in.BY_ADDRESS_AND_NAME.attempts):
        tried(client)

    assert tried(client, "alice").status_code == 429


COUNTING = """
import django
django.setup()
from ragsite.sign_in import counted
print(counted("sign-in:test-of-two-processes", 60))
"""


def test_processes_that_share_a_cache_share_the_counts() -> None:
    """With Redis the second process goes on counting; without, each has its own, and one process is all there may be."""
    told = [
        subprocess.run([sys.executable, "-c", COUNTING], capture_output=True, check=True, cwd=settings.BASE_DIR).stdout
        for _ in range(2)
    ]

    assert [int(line) for line in told] == ([1, 2] if settings.REDIS_URL else [1, 1])


def test_what_was_typed_as_a_name_stands_in_no_log(client: Client, caplog: pytest.LogCaptureFixture, db: None) -> None:
    """People type their password there."""
    tried(client, name="hunter2-is-my-password")

    assert "sign-in refused" in caplog.text
    assert "hunter2" not in " ".join(str(vars(record)) for record in caplog.records if record.name == "ragsite.sign_in")
