"""What closing, compressing, deleting and forgetting share: one of them at a time, whole files, and the chain's next entry.

Each of them may die at any moment; `upkeep` finishes or takes back what the one before left half done.
"""

import fcntl
import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from rag import trace_chain, trace_files
from rag.trace_chain import is_close_line, told_by
from rag.trace_files import CHAIN, gz_path, plain_path, raw_lines, read_chain

LOCK = ".upkeep"
LEFTOVERS = ".*.tmp"
PIECE = 1 << 20


@contextmanager
def upkeep(folder: Path) -> Iterator[None]:
    """Nobody else changes files of closed days or the chain meanwhile; writers of traces are not held up."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        settle(folder)
        yield


def settle(folder: Path) -> None:
    """Put right what a process that died has left."""
    for leftover in folder.glob(LEFTOVERS):
        leftover.unlink()
    cut_torn_entry(folder / CHAIN)
    enter_closed_days(folder)
    chain = read_chain(folder)
    for day in trace_files.days_in(folder):
        if str(day) in chain.deleted:
            remove(folder, day)
        elif gz_path(folder, day).exists():
            drop_plain(folder, day)


def cut_torn_entry(path: Path) -> None:
    """An entry without its line feed was never made: what it would have told was not yet done."""
    if path.exists():
        whole = path.read_bytes()
        if whole and not whole.endswith(b"\n"):
            os.truncate(path, whole.rfind(b"\n") + 1)


def enter_closed_days(folder: Path) -> None:
    """A day whose file has its close line, but whose entry was not written any more. No other can follow on the same head."""
    chain = read_chain(folder)
    for day in trace_files.days_in(folder):
        if chain.knows(day):
            continue
        last = trace_files.last_line(folder, day)
        if is_close_line(last) and told_by(last).get("previous") == chain.head:
            append_entry(folder, last)
            chain = read_chain(folder)


def append_entry(folder: Path, entry: bytes) -> None:
    """On disk when this returns."""
    descriptor = os.open(folder / CHAIN, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        trace_files.write_whole(descriptor, entry + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(folder)


def replace(path: Path, lines: Iterable[bytes]) -> None:
    """Put a file of these lines, compressed or not by its name, in the path's place: all of it, or nothing."""
    made = path.with_name(f".{path.name}.tmp")
    with made.open("wb") as file:
        os.fchmod(file.fileno(), 0o640)
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as compressed:
                compressed.writelines(line + b"\n" for line in lines)
        else:
            file.writelines(line + b"\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())
    made.rename(path)
    sync_folder(path.parent)


def compress(folder: Path, day: date) -> None:
    """The day's closed file becomes a gzip, always of the same bytes. The plain one goes once the other was read back."""
    replace(gz_path(folder, day), raw_lines(folder, day))
    drop_plain(folder, day)


def drop_plain(folder: Path, day: date) -> None:
    """Remove the plain file beside the compressed one, if it says nothing else; what differs is kept for a person to see."""
    plain, compressed = plain_path(folder, day), gz_path(folder, day)
    if plain.exists() and (plain.stat().st_size == 0 or same_content(plain, compressed)):
        plain.unlink()
        sync_folder(folder)


def same_content(plain: Path, compressed: Path) -> bool:
    """False also where the compressed one cannot be read."""
    try:
        with plain.open("rb") as one, gzip.open(compressed) as other:
            pieces = iter(lambda: (one.read(PIECE), other.read(PIECE)), (b"", b""))
            return all(mine == theirs for mine, theirs in pieces)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return False


def remove(folder: Path, day: date) -> None:
    for path in (plain_path(folder, day), gz_path(folder, day)):
        path.unlink(missing_ok=True)
    sync_folder(folder)


def delete(folder: Path, day: date) -> None:
    """The chain says it first: a file that is gone without an entry was taken by somebody else."""
    append_entry(folder, trace_chain.delete_entry(day=day, previous=read_chain(folder).head))
    remove(folder, day)


def close(folder: Path, day: date) -> None:
    """Write the close line, then the chain's entry. Writers wait meanwhile, and then find the day closed."""
    path = plain_path(folder, day)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        with trace_files.locked(descriptor):
            if trace_files.torn(descriptor):
                trace_files.write_whole(descriptor, b"\n")
            digest = trace_chain.digest_of(raw_lines(folder, day))
            line = trace_chain.close_line(day=day, digest=digest, previous=read_chain(folder).head)
            trace_files.write_whole(descriptor, line + b"\n")
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    append_entry(folder, line)


def sync_folder(folder: Path) -> None:
    """So that a name that was given or taken survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
