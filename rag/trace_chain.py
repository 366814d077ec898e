"""The chain that closed days form: what a line counts as, what a close line says, what follows on what. Plain Python.

A line counts by its SHA-256. A tombstone counts by the SHA-256 of the line that it replaced, which it carries; so a day keeps
its digest when content is forgotten. `docs/traces.md` describes how a stranger verifies a chain.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

BEGINNING = "0" * 64
"""what the first entry of a chain follows on"""
CLOSE_PREFIX = b'{"kind":"close",'
LONGEST_CLOSE_LINE = 512


@dataclass(frozen=True, slots=True)
class Digest:
    """What a day's lines amount to: their number, the SHA-256 over their hashes, and what each tombstone replaced."""

    lines: int
    sha256: str
    forgotten: tuple[str, ...] = ()


def sha256_of(line: bytes) -> str:
    """Of a line without its line feed."""
    return hashlib.sha256(line).hexdigest()


def replaced_by(line: bytes) -> str | None:
    """The hash of the line in whose place this tombstone stands; None for any other line."""
    if b'"forgotten":true' not in line:
        return None
    try:
        told = json.loads(line)
    except ValueError:
        return None
    if not isinstance(told, dict) or told.get("forgotten") is not True:
        return None
    replaced = told.get("sha256")
    return replaced if isinstance(replaced, str) and len(replaced) == len(BEGINNING) else None


def digest_of(lines: Iterable[bytes]) -> Digest:
    """Of lines without their line feeds, close line excluded: SHA-256 over each line's hash in hex, each with a line feed."""
    count, whole, forgotten = 0, hashlib.sha256(), []
    for line in lines:
        replaced = replaced_by(line)
        if replaced is not None:
            forgotten.append(replaced)
        whole.update((replaced or sha256_of(line)).encode() + b"\n")
        count += 1
    return Digest(count, whole.hexdigest(), tuple(forgotten))


def close_line(*, day: date, digest: Digest, previous: str) -> bytes:
    """The last line of a day's file, and its entry in the chain, without a line feed."""
    told = {"kind": "close", "day": str(day), "lines": digest.lines, "sha256": digest.sha256, "previous": previous}
    return compact(told)


def delete_entry(*, day: date, previous: str) -> bytes:
    """Says that the day's file was deleted because of its age."""
    return compact({"kind": "delete", "day": str(day), "previous": previous})


def forget_entry(*, day: date, replaced: Iterable[str], previous: str) -> bytes:
    """Says which lines of a day, by their hashes, were replaced by tombstones."""
    return compact({"kind": "forget", "day": str(day), "lines": sorted(replaced), "previous": previous})


def compact(told: Mapping[str, Any]) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()


def is_close_line(line: bytes) -> bool:
    """Whole: one that was cut short closes nothing."""
    return line.startswith(CLOSE_PREFIX) and "previous" in told_by(line)


@dataclass(frozen=True, slots=True)
class Chain:
    """The entries of `chain.jsonl` in order, as they were read; `problems` say where one does not follow on the one before."""

    entries: tuple[bytes, ...]
    closed: Mapping[str, bytes]
    """day -> its close line"""
    deleted: frozenset[str]
    forgotten: Mapping[str, frozenset[str]]
    """day -> the hashes of the lines that tombstones replaced"""
    problems: tuple[str, ...]

    @property
    def head(self) -> str:
        """The hash of the newest entry: who has noted it elsewhere can tell whether the chain was written anew since."""
        return sha256_of(self.entries[-1]) if self.entries else BEGINNING

    def knows(self, day: date) -> bool:
        return str(day) in self.closed or str(day) in self.deleted


def chain_of(entries: Iterable[bytes]) -> Chain:
    """The chain from its lines without line feeds."""
    kept = tuple(entries)
    closed: dict[str, bytes] = {}
    deleted: set[str] = set()
    forgotten: dict[str, frozenset[str]] = {}
    for entry in kept:
        told = told_by(entry)
        day = str(told.get("day"))
        if told.get("kind") == "close":
            closed[day] = entry
        elif told.get("kind") == "delete":
            deleted.add(day)
        elif told.get("kind") == "forget":
            forgotten[day] = forgotten.get(day, frozenset()) | frozenset(map(str, told.get("lines", ())))
    return Chain(kept, closed, frozenset(deleted), forgotten, tuple(broken_links(kept)))


def broken_links(entries: Iterable[bytes]) -> Iterator[str]:
    previous = BEGINNING
    for number, entry in enumerate(entries, 1):
        told = told_by(entry)
        if not told:
            yield f"chain.jsonl:{number} cannot be read"
        elif told.get("previous") != previous:
            yield f"chain.jsonl:{number} does not follow on the entry before it: one was altered, removed or put elsewhere"
        previous = sha256_of(entry)


def told_by(entry: bytes) -> dict[str, Any]:
    """The entry as an object; empty where it is none."""
    try:
        told = json.loads(entry)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
