"""The client's address comes from proxies of our own, and from nobody else."""

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from hypothesis import given
from hypothesis import strategies as st

from ragsite.proxies import FORWARDED, ClientAddress, NotANetwork, Trusted, client_address, parsed

OURS = Trusted(["127.0.0.1", "10.0.0.0/8", "unix", "fd00::/8"])


def seen(peer: str, forwarded_for: str) -> str:
    return client_address(peer=peer, forwarded_for=forwarded_for, trusted=OURS)


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("127.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("", "192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", "192.0.2.7, 10.1.2.3", "192.0.2.7"),
        ("127.0.0.1", "198.51.100.1, 192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", "127.0.0.1, 198.51.100.1, 192.0.2.7, 10.9.9.9", "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
        ("192.0.2.7", "127.0.0.1", "192.0.2.7"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "10.1.1.1", "10.1.1.1"),
        ("127.0.0.1", "198.51.100.1, unknown", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1, bad, 10.1.1.1", "10.1.1.1"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("127.0.0.1", "192.0.2.7:4711", "192.0.2.7"),
        ("127.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("127.0.0.1", "::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:127.0.0.1", "192.0.2.7", "192.0.2.7"),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy(peer: str, forwarded_for: str, client: str) -> None:
    assert seen(peer, forwarded_for) == client


@given(st.lists(st.one_of(st.ip_addresses().map(str), st.text(max_size=20)), max_size=6))
def test_nothing_that_a_client_writes_changes_its_address(written: list[str]) -> None:
    """What it sent stands on the left of what our proxy added."""
    spoofed = ",".join([*written, "192.0.2.7"])

    assert seen("127.0.0.1", spoofed) == "192.0.2.7"
    assert seen("192.0.2.7", spoofed) == "192.0.2.7"


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_none(text: str) -> None:
    found = parsed(text)

    assert found is None or parsed(str(found)) == found


@pytest.mark.parametrize("entry", ["1", "0", "proxy.example.org", "10.0.0.1/8", "10.0.0.0/33", "127.0.0.1:80"])
def test_what_is_no_network_is_refused(entry: str) -> None:
    with pytest.raises(NotANetwork):
        Trusted([entry])


def through(trusted: list[str], **meta: str) -> dict[str, Any]:
    """What a view finds behind the middleware."""
    found: dict[str, Any] = {}

    def view(request: HttpRequest) -> HttpResponse:
        found.update(request.META, secure=request.is_secure())
        return HttpResponse()

    with override_settings(
        TRUSTED_PROXIES=trusted, SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https") if trusted else None
    ):
        ClientAddress(view)(RequestFactory().get("/", **meta))  # type: ignore[arg-type]
    return found


SAID = {"HTTP_X_FORWARDED_FOR": "198.51.100.1", "HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_HOST": "evil"}


def test_a_trusted_proxy_is_believed() -> None:
    found = through(["127.0.0.1"], REMOTE_ADDR="127.0.0.1", **SAID)

    assert (found["REMOTE_ADDR"], found["secure"]) == ("198.51.100.1", True)


def test_a_stranger_who_speaks_like_a_proxy_is_not() -> None:
    found = through(["127.0.0.1"], REMOTE_ADDR="192.0.2.7", **SAID)

    assert (found["REMOTE_ADDR"], found["secure"]) == ("192.0.2.7", False)
    assert found.keys().isdisjoint(FORWARDED)


def test_without_proxies_nobody_is() -> None:
    found = through([], REMOTE_ADDR="127.0.0.1", **SAID)

    assert (found["REMOTE_ADDR"], found["secure"]) == ("127.0.0.1", False)


def test_a_wrong_entry_is_told_when_the_site_starts() -> None:
    with override_settings(TRUSTED_PROXIES=["1"]), pytest.raises(NotANetwork):
        ClientAddress(lambda request: HttpResponse())
