"""Posting to an address that a person typed in, without letting it reach what only this host can reach.

The name is resolved once, every address behind it must be a public one (or stand in an allowed network), and the connection
goes to the very address that was checked. Redirects are not followed, proxies of the environment not used, and the whole call,
the look-up of the name included, is bounded in time.
"""

import queue
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeVar

import httpx

TOTAL_S = 10.0
EACH_S = 5.0
KEPT_BYTES = 1_024
NAT64 = IPv6Network("64:ff9b::/96")
INNER = tuple(ip_network(each) for each in ("fec0::/10", "192.88.99.0/24", "3fff::/20", "5f00::/16", "64:ff9b:1::/48"))
"""Not public either (RFC 3879, 7526, 9637, 9602, 8215), which older Pythons do not know."""
T = TypeVar("T")
Address = IPv4Address | IPv6Address


class NotDelivered(Exception):
    """No HTTP answer came back; says why."""


class AddressRefused(NotDelivered):
    """The address leads to where it must not lead."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`body` is its beginning, at most KEPT_BYTES."""

    status: int
    body: str


def post(*, url: str, body: bytes, headers: Mapping[str, str], allowed: Sequence[str]) -> Reply:
    """`allowed`: networks that may be reached although they are not public. Raises NotDelivered."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise AddressRefused(str(error)) from error
    return within(TOTAL_S, partial(_post, parsed, body, headers, allowed))


def _post(url: httpx.URL, body: bytes, headers: Mapping[str, str], allowed: Sequence[str]) -> Reply:
    address = checked_addresses(url, allowed)[0]
    told = {"Host": url.netloc.decode("ascii"), "Content-Type": "application/json", "User-Agent": "ragsite", **headers}
    try:
        with (
            httpx.Client(trust_env=False, follow_redirects=False, timeout=EACH_S) as client,
            client.stream(
                "POST",
                url.copy_with(host=address),
                content=body,
                headers=told,
                extensions={"sni_hostname": url.raw_host.decode("ascii")},
            ) as response,
        ):
            return Reply(response.status_code, beginning(response))
    except httpx.HTTPError as error:
        raise NotDelivered(f"{type(error).__name__}: {error}") from error


def beginning(response: httpx.Response) -> str:
    data = b""
    for piece in response.iter_raw(KEPT_BYTES):
        data += piece
        if len(data) >= KEPT_BYTES:
            break
    return data[:KEPT_BYTES].decode(errors="replace").replace("\0", "")


def checked_addresses(url: httpx.URL, allowed: Sequence[str]) -> list[str]:
    """All addresses behind the name, in the resolver's order; one that may not be reached refuses them all."""
    if url.scheme not in ("http", "https") or not url.host:
        raise AddressRefused("only http and https addresses are posted to")
    try:
        found = socket.getaddrinfo(url.raw_host.decode("ascii"), url.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotDelivered(f"the name {url.host} cannot be resolved: {error}") from error
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    for address in addresses:
        if not may_reach(ip_address(address), allowed):
            raise AddressRefused(f"{url.host} leads to {address}, which is not public; see ALERT_ALLOWED_NETWORKS")
    return addresses


def may_reach(address: Address, allowed: Sequence[str]) -> bool:
    if any(address in ip_network(network) for network in allowed):
        return True
    inner = embedded(address)
    if inner is not None:
        return may_reach(inner, allowed)
    if any(address in network for network in INNER):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for."""
    if not isinstance(address, IPv6Address):
        return None
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def within(seconds: float, call: Callable[[], T]) -> T:
    """What the call returns or raises; NotDelivered when that takes too long. The call is then left to end by itself."""
    told: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            told.put((call(), None))
        except Exception as error:  # noqa: BLE001 - raised again below, by the one who waits
            told.put((None, error))

    threading.Thread(target=run, daemon=True, name="outbound").start()
    try:
        result, error = told.get(timeout=seconds)
    except queue.Empty:
        raise NotDelivered(f"no whole answer within {seconds:.0f} s") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # without an error there is a result
