"""A bounded dictionary that forgets what was used longest ago, and the digest that stands for a text."""

import hashlib
from collections import OrderedDict
from typing import Generic, TypeVar

Value = TypeVar("Value")


def digest(text: str) -> bytes:
    """32 bytes for a text (sha256 of its UTF-8; a lone surrogate is kept, not refused)."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class LruDict(Generic[Value]):
    """At most `capacity` values."""

    def __init__(self, *, capacity: int) -> None:
        self._capacity = capacity
        self._values: OrderedDict[bytes, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: bytes) -> Value | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: bytes, value: Value) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._capacity:
            self._values.popitem(last=False)
