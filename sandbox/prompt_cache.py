"""Prompt caching as Anthropic documents it. Pure: the time is passed in, nothing is read or sent.

A prompt is a row of blocks (tools, then system, then messages). Each position has a hash over everything up to it,
the model and the key. Entries are written only at breakpoints; a breakpoint looks for them at itself and at the 19
positions before it; the longest hit wins.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

Ttl = Literal["5m", "1h"]
TTL_SECONDS: dict[Ttl, int] = {"5m": 300, "1h": 3_600}
LOOKBACK = 20
MAX_BREAKPOINTS = 4
PURGE_ABOVE = 20_000


@dataclass(frozen=True, slots=True)
class Block:
    """`content` is the exact bytes that must match; `breakpoint` is the lifetime asked for at this block, if any."""

    content: bytes
    tokens: int
    breakpoint: Ttl | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How one prompt meets the cache. The four counts add up to the prompt's tokens."""

    uncached: int
    write_5m: int
    write_1h: int
    read: int
    writes: tuple[tuple[bytes, Ttl], ...] = field(default=())
    at: float = 0.0


@dataclass(slots=True)
class _Entry:
    ttl: Ttl
    expires_at: float


class PromptCache:
    """`plan` when a request arrives, `commit` when its response begins: only then can others hit what it wrote."""

    def __init__(self) -> None:
        self._entries: dict[bytes, _Entry] = {}

    def plan(self, blocks: Sequence[Block], *, key: str, model: str, minimum: int, now: float) -> Plan:
        """Find the longest hit, refresh what was hit, and say what would be written. `minimum` in tokens."""
        hashes = _prefix_hashes(blocks, key=key, model=model)
        totals = list(accumulate(block.tokens for block in blocks))
        marked = [at for at, block in enumerate(blocks) if block.breakpoint and totals[at] >= minimum]
        hit = self._longest_hit(hashes, marked, now=now)
        read = totals[hit] if hit is not None else 0
        written: dict[Ttl, int] = {"5m": 0, "1h": 0}
        writes: list[tuple[bytes, Ttl]] = []
        reached = read
        for at in marked:
            ttl = blocks[at].breakpoint
            if ttl is None or (hit is not None and at <= hit):
                continue
            written[ttl] += totals[at] - reached
            reached = totals[at]
            writes.append((hashes[at], ttl))
        total = totals[-1] if totals else 0
        return Plan(total - reached, written["5m"], written["1h"], read, tuple(writes), now)

    def commit(self, plan: Plan) -> None:
        """Make the plan's writes usable. Lifetimes count from the start of the request."""
        for prefix, ttl in plan.writes:
            self._entries[prefix] = _Entry(ttl=ttl, expires_at=plan.at + TTL_SECONDS[ttl])
        if len(self._entries) > PURGE_ABOVE:
            self._entries = {prefix: e for prefix, e in self._entries.items() if e.expires_at > plan.at}

    def clear(self) -> None:
        self._entries.clear()

    def _longest_hit(self, hashes: Sequence[bytes], marked: Sequence[int], *, now: float) -> int | None:
        hits = [hit for at in marked if (hit := self._hit_at_or_before(hashes, at, now=now)) is not None]
        return max(hits, default=None)

    def _hit_at_or_before(self, hashes: Sequence[bytes], at: int, *, now: float) -> int | None:
        for position in range(at, max(at - LOOKBACK, -1), -1):
            entry = self._entries.get(hashes[position])
            if entry and entry.expires_at > now:
                entry.expires_at = now + TTL_SECONDS[entry.ttl]
                return position
        return None


def _prefix_hashes(blocks: Sequence[Block], *, key: str, model: str) -> list[bytes]:
    running = hashlib.sha256(f"{len(key)}:{key}{model}".encode("utf-8", "surrogatepass")).digest()
    hashes = []
    for block in blocks:
        running = hashlib.sha256(running + block.content).digest()
        hashes.append(running)
    return hashes
