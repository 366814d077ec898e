"""Whose request it is: the address of the client, told by proxies of our own and by nobody else.

`X-Forwarded-For` is a list to which every proxy adds the address that it saw; what a client writes into it stands on the left.
So it is read from the right, and only as long as those who say it are trusted.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest, HttpResponse

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNIX_SOCKET = "unix"
"""stands for whoever may write to the Unix socket of the web process, which file permissions decide"""
FORWARDED = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_REAL_IP",
    "HTTP_FORWARDED",
)


class NotANetwork(ValueError):
    """An entry of TRUSTED_PROXIES that is neither an address, nor a network, nor `unix`."""


class Trusted:
    """The proxies that are believed. Raises NotANetwork."""

    def __init__(self, entries: Iterable[str]) -> None:
        given = [entry.strip() for entry in entries if entry.strip()]
        self.unix_socket = UNIX_SOCKET in given
        self.networks: tuple[Network, ...] = tuple(network(entry) for entry in given if entry != UNIX_SOCKET)

    def peer(self, peer: str) -> bool:
        """Whether what this connection says of others is believed; gunicorn has no address for a Unix socket."""
        return self.unix_socket if not peer else self.holds(parsed(peer))

    def holds(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self.networks)


@lru_cache(maxsize=4)
def trusted_proxies(entries: tuple[str, ...]) -> Trusted:
    return Trusted(entries)


def network(entry: str) -> Network:
    if entry.isdecimal():  # 1 would be 0.0.0.1
        raise NotANetwork(f"{entry!r} is a number: name the addresses of the proxies")
    try:
        return ip_network(entry)
    except ValueError as error:
        raise NotANetwork(f"{entry!r} is no address, no network and not {UNIX_SOCKET!r}: {error}") from error


def parsed(text: str) -> Address | None:
    """An address as proxies write it, with or without a port; None for anything else."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def client_address(*, peer: str, forwarded_for: str, trusted: Trusted) -> str:
    """The first from the right that is no proxy of ours: beyond it nobody who is believed has spoken.

    Where an entry is no address, the proxy that passed it on is the last that is known.
    """
    if not trusted.peer(peer):
        return peer
    client = peer
    for entry in reversed(forwarded_for.split(",")):
        address = parsed(entry)
        if address is None:
            return client
        client = str(address)
        if not trusted.holds(address):
            return client
    return client


class ClientAddress:
    """Middleware, before all others: afterwards `REMOTE_ADDR` is the client's address, whoever looks at it.

    From anybody but a trusted proxy the headers by which proxies speak are taken away: nothing behind this sees them.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        trusted_proxies(tuple(settings.TRUSTED_PROXIES))  # a wrong entry is told at the start, not by every request

    def __call__(self, request: HttpRequest) -> HttpResponse:
        meta, trusted = request.META, trusted_proxies(tuple(settings.TRUSTED_PROXIES))
        peer = meta.get("REMOTE_ADDR", "")
        if trusted.peer(peer):
            meta["REMOTE_ADDR"] = client_address(
                peer=peer, forwarded_for=meta.get("HTTP_X_FORWARDED_FOR", ""), trusted=trusted
            )
        else:
            for name in FORWARDED:
                meta.pop(name, None)
        return self._get_response(request)
