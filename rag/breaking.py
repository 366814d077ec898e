"""Breaking what an answer depends on: orders to the sandbox, for questions that hold a mark, and dead addresses."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
from django.conf import settings
from django.test import override_settings

from rag.failures import Case, Fault

CONTROL_TIMEOUT_S = 5.0


@contextmanager
def broken(case: Case, *, sandbox: str, mark: str) -> Iterator[None]:
    """What the case names is broken, for questions that hold the mark."""
    with ExitStack() as stack:
        if case.refusing:
            stack.enter_context(moved(case.refusing, stack.enter_context(refusing_port())))
        if case.silent:
            stack.enter_context(moved(case.silent, stack.enter_context(silent_port())))
        if case.faults:
            stack.callback(take_back, sandbox, mark)
        for fault in case.faults:
            order(sandbox, fault, mark)
        yield


def order(sandbox: str, fault: Fault, mark: str) -> None:
    wanted = {"endpoint": fault.endpoint, "fault": fault.ordered(), "times": fault.times, "match": mark}
    httpx.post(f"{sandbox}/_control", json=wanted, timeout=CONTROL_TIMEOUT_S).raise_for_status()


def take_back(sandbox: str, mark: str) -> None:
    """Remove the orders under this mark. They are looked up, so that one is found whose receipt was interrupted."""
    with httpx.Client(base_url=sandbox, timeout=CONTROL_TIMEOUT_S) as control:
        orders = control.get("/_control").raise_for_status().json()["faults"]
        for placed in orders:
            if placed["match"] == mark:
                control.delete(f"/_control/{placed['id']}")


def moved(part: str, url: str) -> override_settings:
    """The settings with Chroma, or a provider, at another address."""
    if part == "chroma":
        return override_settings(CHROMA_URL=url)
    providers = settings.PROVIDERS | {part: settings.PROVIDERS[part] | {"base_url": url}}
    return override_settings(PROVIDERS=providers)


@contextmanager
def refusing_port() -> Iterator[str]:
    """An address that is taken, so that nobody else listens there, and refuses connections."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"


@contextmanager
def silent_port() -> Iterator[str]:
    """An address where connections are accepted, by the system, and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
