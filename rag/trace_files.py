"""Where traces lie: `YYYY-MM-DD.jsonl`, later `YYYY-MM-DD.jsonl.gz`, and `chain.jsonl`. Written to and opened here."""

import fcntl
import gzip
import json
import os
import threading
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from rag import clock
from rag.trace_chain import LONGEST_CLOSE_LINE, Chain, chain_of, is_close_line

CHAIN = "chain.jsonl"
LATE_DAYS = 2
"""A line that missed its day stands in the file of one of so many days after it."""


class DamagedFile(OSError):
    """A compressed file that cannot be read to its end."""


def plain_path(folder: Path, day: date) -> Path:
    return folder / f"{day:%Y-%m-%d}.jsonl"


def gz_path(folder: Path, day: date) -> Path:
    return folder / f"{day:%Y-%m-%d}.jsonl.gz"


def path_of(folder: Path, day: date) -> Path | None:
    """Where the day's lines are to be read; None where there are none. What is compressed is whole, so it goes first."""
    return next((path for path in (gz_path(folder, day), plain_path(folder, day)) if path.exists()), None)


def days_in(folder: Path) -> list[date]:
    """The days that have a file of either form, in order."""
    names = {path.name[:10] for pattern in ("jsonl", "jsonl.gz") for path in folder.glob(f"????-??-??.{pattern}")}
    return sorted(date.fromisoformat(name) for name in names)


def raw_lines(folder: Path, day: date) -> Iterator[bytes]:
    """The day's lines in order, without their line feeds; one that is being written, or was cut short, is the last.

    Raises DamagedFile.
    """
    path = path_of(folder, day)
    if path is None:
        return
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                yield line.removesuffix(b"\n")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DamagedFile(f"{path.name} cannot be decompressed: {error}") from error


def last_line(folder: Path, day: date) -> bytes:
    """Without its line feed. Of a file that is not compressed only the end is read, which is where a close line stands."""
    path = path_of(folder, day)
    if path is None or path.suffix == ".gz":
        with suppress(DamagedFile):
            return next(iter(deque(raw_lines(folder, day), maxlen=1)), b"")
        return b""
    with path.open("rb") as file:
        return end_of(file.fileno())


def end_of(descriptor: int) -> bytes:
    """The last line of an open file, as far as LONGEST_CLOSE_LINE bytes hold it; empty where that line is not ended."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, LONGEST_CLOSE_LINE, max(0, size - LONGEST_CLOSE_LINE))
    return tail[:-1].rpartition(b"\n")[2] if tail.endswith(b"\n") else b""


def read_chain(folder: Path) -> Chain:
    """An entry that a crash has cut short was never made."""
    try:
        whole = (folder / CHAIN).read_bytes()
    except FileNotFoundError:
        whole = b""
    return chain_of(whole.split(b"\n")[:-1])


class TraceFiles:
    """Appends lines to the file of the trace's UTC day. Several processes may share a folder.

    One `write` on an O_APPEND descriptor a line, under the file's lock: whole lines stand one after the other. A day that was
    closed meanwhile takes no more: its late lines go to the file of the day on which they are written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._open: tuple[int, Path, int] | None = None

    def path(self, moment: datetime) -> Path:
        return plain_path(self.folder, moment.astimezone(UTC).date())

    def append(self, *, line: dict[str, Any], at: datetime) -> None:
        """Write one line; raises OSError when the disk does not take the whole of it.

        A line that a crash has cut short is ended first, so that it does not swallow this one.
        """
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace") + b"\n"
        with self._lock:
            for day in days_from(at.astimezone(UTC).date()):
                if self._written(day, data):
                    return

    def _written(self, day: date, data: bytes) -> bool:
        """False: the day is closed."""
        path = plain_path(self.folder, day)
        while True:
            with locked(self._descriptor(path)) as descriptor:
                if not stands_at(descriptor, path):  # replaced or removed while we waited
                    continue
                if is_closed(descriptor, self.folder, day):
                    if (
                        os.fstat(descriptor).st_size == 0
                    ):  # made by us just now, for a day whose file is compressed or gone
                        path.unlink()
                    return False
                write_whole(descriptor, b"\n" + data if torn(descriptor) else data)
                return True

    def _descriptor(self, path: Path) -> int:
        if self._open is not None and self._open[:2] == (os.getpid(), path) and stands_at(self._open[2], path):
            return self._open[2]
        if self._open is not None and self._open[0] == os.getpid():
            os.close(self._open[2])
            self._open = None
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
        self._open = (os.getpid(), path, descriptor)
        return descriptor


def days_from(day: date) -> Iterator[date]:
    """The day, then today, then the days to come (another host's clock may be ahead and have closed today)."""
    yield day
    later = max(day + timedelta(days=1), clock.now().date())
    yield from (later + timedelta(days=ahead) for ahead in count())


def write_whole(descriptor: int, data: bytes) -> None:
    """Append to a file whose lock the caller holds. Raises OSError when only a part is written, which is taken back."""
    written = os.write(descriptor, data)
    if written != len(data):
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
        raise OSError(f"only {written} of {len(data)} bytes of a trace line were written: is the disk full?")


@contextmanager
def locked(descriptor: int) -> Iterator[int]:
    """Hold the file's lock. The file of somebody who is just writing to it looks cut short; one who died holds no lock."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield descriptor
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def stands_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one that the path names."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def is_closed(descriptor: int, folder: Path, day: date) -> bool:
    """Whether the day takes no more lines. The chain is asked only for an empty file: another tells it itself."""
    if gz_path(folder, day).exists():
        return True
    if os.fstat(descriptor).st_size == 0:
        return read_chain(folder).knows(day)
    return is_close_line(end_of(descriptor))


def torn(descriptor: int) -> bool:
    """Whether the file ends in the middle of a line."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
