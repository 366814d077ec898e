"""Faults that a test or a drill has ordered: which endpoint breaks, how, and how often."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, get_args

Endpoint = Literal[
    "anthropic.messages",
    "anthropic.count_tokens",
    "anthropic.cost_report",
    "anthropic.usage_report",
    "voyage.embeddings",
    "openai.embeddings",
    "openai.costs",
    "openai.usage",
    "cohere.rerank",
]
Kind = Literal[
    "status",
    "delay",
    "drip",
    "hang",
    "hang_mid_stream",
    "cut",
    "malformed",
    "empty_object",
    "reset",
    "overloaded_stream",
    "endless_stream",
    "short_results",
    "truncated_body",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
ONLY_MESSAGES = frozenset({"overloaded_stream", "endless_stream"})
ONLY_LISTS = frozenset({"voyage.embeddings", "openai.embeddings", "cohere.rerank"})
ORDER_FIELDS = frozenset({"endpoint", "fault", "times", "match"})
FAULT_FIELDS = frozenset({"kind", "status", "headers", "body", "delay_ms", "interval_ms", "after_deltas"})


class BadOrder(Exception):
    """The control request cannot be carried out; the message says why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """How to break. `body` None means the vendor's usual words for `status`."""

    kind: Kind
    status: int = 500
    headers: tuple[tuple[str, str], ...] = ()
    body: Any = None
    delay_ms: float = 1_000
    interval_ms: float = 500
    after_deltas: int = 2


@dataclass(slots=True)
class Order:
    """`remaining` None means until cleared."""

    id: int
    endpoint: str
    fault: Fault
    remaining: int | None
    match: str | None

    def shown(self) -> dict[str, object]:
        return {
            "id": self.id,
            "endpoint": self.endpoint,
            "kind": self.fault.kind,
            "remaining": self.remaining,
            "match": self.match,
        }


class Control:
    """The open orders, oldest first. The oldest that fits a request is used."""

    def __init__(self) -> None:
        self._orders: list[Order] = []
        self._ids = count(1)

    def order(self, wanted: Mapping[str, Any]) -> Order:
        """Raises BadOrder."""
        _known_fields(wanted, ORDER_FIELDS, where="the order")
        endpoint, times, match = wanted.get("endpoint"), wanted.get("times"), wanted.get("match")
        if not isinstance(endpoint, str) or endpoint not in get_args(Endpoint):
            raise BadOrder(f"endpoint must be one of {', '.join(get_args(Endpoint))}")
        if times is not None and (not isinstance(times, int) or isinstance(times, bool) or times < 1):
            raise BadOrder("times must be a whole number above 0, or null for until cleared")
        if match is not None and not isinstance(match, str):
            raise BadOrder("match must be a string")
        fault = parse_fault(wanted.get("fault"), endpoint=endpoint)
        placed = Order(id=next(self._ids), endpoint=endpoint, fault=fault, remaining=times, match=match)
        self._orders.append(placed)
        return placed

    def take(self, *, endpoint: str, raw: bytes) -> Fault | None:
        """The fault for this request, counted down."""
        for order in self._orders:
            if order.endpoint == endpoint and (order.match is None or order.match.encode() in raw):
                self._count_down(order)
                return order.fault
        return None

    def orders(self) -> list[Order]:
        return list(self._orders)

    def clear(self) -> None:
        self._orders.clear()

    def remove(self, order_id: int) -> bool:
        """False when there is no such order."""
        before = len(self._orders)
        self._orders = [order for order in self._orders if order.id != order_id]
        return len(self._orders) < before

    def _count_down(self, order: Order) -> None:
        if order.remaining is None:
            return
        order.remaining -= 1
        if order.remaining == 0:
            self._orders.remove(order)


def parse_fault(wanted: object, *, endpoint: str) -> Fault:
    """Raises BadOrder."""
    if not isinstance(wanted, Mapping):
        raise BadOrder("fault must be an object with a kind")
    _known_fields(wanted, FAULT_FIELDS, where="the fault")
    kind = _kind(wanted.get("kind"))
    if kind in ONLY_MESSAGES and endpoint != "anthropic.messages":
        raise BadOrder(f"{kind} is possible for anthropic.messages only")
    if kind == "short_results" and endpoint not in ONLY_LISTS:
        raise BadOrder("short_results is possible for embeddings and rerank only")
    return Fault(
        kind=kind,
        status=int(_number(wanted, "status", default=500, low=400 if kind == "status" else 100, high=599)),
        headers=_headers(wanted.get("headers")),
        body=wanted.get("body"),
        delay_ms=_number(wanted, "delay_ms", default=1_000, low=0, high=3_600_000),
        interval_ms=_number(wanted, "interval_ms", default=500, low=0, high=3_600_000),
        after_deltas=int(_number(wanted, "after_deltas", default=2, low=0, high=10_000)),
    )


def _kind(wanted: object) -> Kind:
    for kind in KINDS:
        if kind == wanted:
            return kind
    raise BadOrder(f"fault.kind must be one of {', '.join(KINDS)}")


def _headers(wanted: object) -> tuple[tuple[str, str], ...]:
    if wanted is None:
        return ()
    if not isinstance(wanted, Mapping):
        raise BadOrder("headers must be an object")
    pairs = tuple((str(name), str(value)) for name, value in wanted.items())
    if any(not text.isprintable() for pair in pairs for text in pair):
        raise BadOrder("headers must be printable text")
    return pairs


def _number(wanted: Mapping[str, Any], name: str, *, default: float, low: float, high: float) -> float:
    value = wanted.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadOrder(f"{name} must be a number from {low} to {high}")
    return value


def _known_fields(wanted: Mapping[str, Any], known: frozenset[str], *, where: str) -> None:
    strange = sorted(set(wanted) - known)
    if strange:
        raise BadOrder(f"unknown in {where}: {', '.join(strange)}; known: {', '.join(sorted(known))}")
