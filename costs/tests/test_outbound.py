"""What a webhook may not reach, however its address is written."""

import socket
import threading
import time
from ipaddress import ip_address

import pytest

from costs import checks, outbound
from costs.outbound import AddressRefused, NotDelivered, may_reach, post, within
from costs.tests.receiving import Receiver

REFUSED = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104 - an address like any other here
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.2.1",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "2002:7f00:1::",
    "64:ff9b::a00:1",
    "2001:db8::1",
]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_public_is_refused(address: str):
    assert not may_reach(ip_address(address), [])


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"])
def test_a_public_one_is_not(address: str):
    assert may_reach(ip_address(address), [])


def test_an_allowed_network_may_be_reached_and_nothing_beside_it():
    assert may_reach(ip_address("10.1.2.3"), ["10.1.2.0/24"])
    assert not may_reach(ip_address("10.1.3.3"), ["10.1.2.0/24"])


@pytest.mark.parametrize(
    "host", ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "[::ffff:7f00:1]", "127.0.0.1"]
)
def test_no_way_of_writing_this_machine_gets_through(host: str, receiver: Receiver):
    port = receiver.url.split(":")[2].split("/")[0]

    with pytest.raises(NotDelivered):
        post(url=f"http://{host}:{port}/hook", body=b"{}", headers={}, allowed=[])

    assert receiver.got == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://1.1.1.1/", "http://", "ftp://1.1.1.1/x", "http://[/"])
def test_other_schemes_and_no_addresses_are_refused(url: str):
    with pytest.raises(NotDelivered):
        post(url=url, body=b"{}", headers={}, allowed=[])


def test_a_name_with_one_private_address_among_public_ones_is_refused(monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("1.1.1.1", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)

    with pytest.raises(AddressRefused, match="10.0.0.1"):
        post(url="http://rebinding.example/", body=b"{}", headers={}, allowed=[])


def test_the_name_is_resolved_once_and_the_checked_address_connected_to(monkeypatch, receiver: Receiver):
    port = int(receiver.url.split(":")[2].split("/")[0])
    asked = []

    def resolve(host, *args, **kwargs):
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "10.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *a, **k: resolve(host) if host == "hook.example" else real(host, *a, **k)
    )

    reply = post(url=f"http://hook.example:{port}/hook", body=b"{}", headers={}, allowed=["127.0.0.0/8"])

    assert reply.status == 200
    assert asked == ["hook.example"]
    assert receiver.got[0].headers["host"] == f"hook.example:{port}"


def test_proxies_of_the_environment_are_not_used(monkeypatch, receiver: Receiver):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    assert post(url=receiver.url, body=b"{}", headers={}, allowed=["127.0.0.0/8"]).status == 200


def test_a_receiver_that_answers_byte_by_byte_is_left_in_time(monkeypatch):
    monkeypatch.setattr(outbound, "TOTAL_S", 0.5)
    over = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1_000:
                if over.wait(0.1):
                    return
                connection.sendall(bytes([byte]))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        started = time.monotonic()
        with pytest.raises(NotDelivered, match="no whole answer"):
            post(url=f"http://127.0.0.1:{server.getsockname()[1]}/", body=b"", headers={}, allowed=["127.0.0.0/8"])
        took = time.monotonic() - started
        over.set()
        thread.join()
    assert took < 5


def test_what_a_call_raises_is_raised_to_who_waits_for_it():
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0)


def test_a_wrong_network_is_told_by_the_system_check():
    assert [each.id for each in checks.networks(["10.0.0.0/8", "10.0.0.1/8", "home"])] == ["costs.E001", "costs.E001"]
    assert [each.id for each in checks.period(0)] == ["costs.E002"]
