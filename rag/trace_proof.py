"""Proving that no line of a closed day was changed or lost. Reads only; what is found is told in words, one problem each."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rag import trace_files
from rag.trace_chain import Chain, Digest, digest_of, is_close_line, told_by
from rag.trace_files import DamagedFile, gz_path, plain_path, raw_lines


@dataclass(frozen=True, slots=True)
class Proof:
    """`head` is the newest entry's hash; `closed` the number of days in the chain that still have their file."""

    closed: int
    head: str
    problems: tuple[str, ...]

    def told(self) -> str:
        return f"{self.closed} closed days; problems in the chain {len(self.problems)}; head {self.head}"


def prove(folder: Path) -> Proof:
    chain = trace_files.read_chain(folder)
    files = trace_files.days_in(folder)
    standing = [day for day in files if str(day) in chain.closed]
    problems = [*chain.problems, *gone(chain, files)]
    for day in files:
        problems += wrong_with(folder, day, chain)
    return Proof(len(standing), chain.head, tuple(problems))


def gone(chain: Chain, files: list[date]) -> Iterator[str]:
    """Closed days without a file that nobody deleted by rule."""
    for day in sorted(chain.closed.keys() - chain.deleted - {str(day) for day in files}):
        yield f"{day}: the file is gone, and the chain does not say that it was deleted"


def wrong_with(folder: Path, day: date, chain: Chain) -> Iterator[str]:
    if plain_path(folder, day).exists() and gz_path(folder, day).exists():
        yield f"{day}: both the compressed and the plain file are there and differ, or compressing was interrupted"
    try:
        digest, close, behind = taken_apart(raw_lines(folder, day))
    except DamagedFile as error:
        yield f"{day}: {error}"
        return
    expected = chain.closed.get(str(day))
    if behind:
        yield f"{day}: {behind} lines stand behind the close line"
    if expected is not None:
        yield from wrong_content(day, digest, close, expected)
    elif close is not None:
        yield from wrong_stranger(day, digest, close, chain)
    for replaced in sorted(set(digest.forgotten) - chain.forgotten.get(str(day), frozenset())):
        yield f"{day}: a tombstone stands for line {replaced[:16]}, but the chain does not say that it was forgotten"


def taken_apart(lines: Iterator[bytes]) -> tuple[Digest, bytes | None, int]:
    """The digest of what stands before the close line, the close line if there is one, and how many lines follow it."""
    close: bytes | None = None

    def before() -> Iterator[bytes]:
        nonlocal close
        for line in lines:
            if is_close_line(line):
                close = line
                return
            yield line

    digest = digest_of(before())
    return digest, close, sum(1 for _ in lines)


def wrong_content(day: date, digest: Digest, close: bytes | None, expected: bytes) -> Iterator[str]:
    """A closed day's file against its entry in the chain."""
    told = told_by(expected)
    if close is None:
        yield f"{day}: the close line is gone"
    elif told_by(close).get("day") != str(day):
        yield f"{day}: the file is that of {told_by(close).get('day')}: files were swapped or renamed"
        return
    elif close != expected:
        yield f"{day}: the close line is not the one in the chain"
    lost = told["lines"] - digest.lines
    if lost > 0:
        yield f"{day}: {lost} of {told['lines']} lines were removed"
    elif lost < 0:
        yield f"{day}: {-lost} lines were added to {told['lines']}"
    elif digest.sha256 != told["sha256"]:
        yield f"{day}: the number of lines is right, but a line was altered, or lines changed places"


def wrong_stranger(day: date, digest: Digest, close: bytes, chain: Chain) -> Iterator[str]:
    """A file with a close line that the chain does not know: right only if it is the next entry, about to be made."""
    told = told_by(close)
    if told.get("day") != str(day):
        yield f"{day}: the file is that of {told.get('day')}: files were swapped or renamed"
    elif told.get("previous") != chain.head:
        yield f"{day}: the file is closed, but the chain has no entry of it"
    elif (told.get("lines"), told.get("sha256")) != (digest.lines, digest.sha256):
        yield f"{day}: the lines are not those that the close line tells"
