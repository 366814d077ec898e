"""Ways round the guard of outgoing posts that were tried elsewhere."""

import socket
from ipaddress import ip_address

import httpx
import pytest
from django.core.exceptions import ValidationError

from costs.outbound import NotDelivered, may_reach, post
from costs.tests.factories import make_channel
from costs.tests.receiving import Receiver

INNER = [
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b:1::7f00:1",
    "2001:0:7f00:1::",
    "2002:a9fe:a9fe::",
    "64:ff9b::a9fe:a9fe",
    "fd00:ec2::254",
    "fec0::1",
    "fe80::1%1",
    "100::1",
    "3fff::1",
    "5f00::1",
    "192.88.99.1",
    "198.18.0.1",
    "192.0.0.170",
    "0.1.2.3",
    "127.255.255.254",
]


@pytest.mark.parametrize("address", INNER)
def test_no_relative_of_an_inner_address_is_public(address: str) -> None:
    assert not may_reach(ip_address(address), [])


@pytest.mark.parametrize(
    "written",
    [
        "http://1.1.1.1@{host}/hook",
        "http://user:secret@{host}/hook",
        "http://1.1.1.1\\@{host}/hook",
        "http://{host}#@1.1.1.1/hook",
        "http://{host}?@1.1.1.1/hook",
        "http://①②⑦.⓪.⓪.①:{port}/hook",  # noqa: RUF001
        "http://127。0。0。1:{port}/hook",
        "http://127.0.0.1.:{port}/hook",
        "http://0:{port}/hook",
        "http://0x7f.1:{port}/hook",
        "http://017700000001:{port}/hook",
        "http://[::]:{port}/hook",
        "http://[::ffff:127.0.0.1]:{port}/hook",
        "http://[0:0:0:0:0:ffff:7f00:0001]:{port}/hook",
        "http://LOCALHOST:{port}/hook",
        "http://localhost.:{port}/hook",
    ],
)
def test_no_writing_of_this_machine_gets_through(written: str, receiver: Receiver) -> None:
    host = httpx.URL(receiver.url).netloc.decode()

    with pytest.raises(NotDelivered):
        post(url=written.format(host=host, port=host.partition(":")[2]), body=b"{}", headers={}, allowed=[])

    assert receiver.got == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_an_inner_address_is_not_followed(status: int, receiver: Receiver) -> None:
    receiver.script, receiver.location = [status], "http://127.0.0.1:1/metadata"

    reply = post(url=receiver.url, body=b"{}", headers={}, allowed=["127.0.0.0/8"])

    assert reply.status == status
    assert len(receiver.got) == 1


@pytest.mark.parametrize("url", ["http://1.1.1.1/\r\nX-Evil: 1", "http://1.1.1.1\r\nHost: evil/", "http://a b/"])
def test_no_header_is_smuggled_in(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*args: object, **kwargs: object) -> None:
        raise OSError("not asked in tests")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)

    with pytest.raises(NotDelivered):
        post(url=url, body=b"{}", headers={}, allowed=[])


def test_a_huge_answer_is_read_no_further_than_what_is_kept(receiver: Receiver) -> None:
    receiver.answer = b"x" * 5_000_000

    assert len(post(url=receiver.url, body=b"{}", headers={}, allowed=["127.0.0.0/8"]).body) <= 1_024


@pytest.mark.django_db
@pytest.mark.parametrize("target", ["javascript:alert(1)", "file:///etc/passwd", "http://", "//1.1.1.1/x", "1.1.1.1"])
def test_the_form_takes_addresses_of_the_web_alone(target: str) -> None:
    channel = make_channel("https://example.org/")
    channel.target = target

    with pytest.raises(ValidationError):
        channel.clean()
