"""Directories of arrays that one process writes whole and many processes map."""

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import SupportsIndex, overload

import numpy as np
import numpy.typing as npt


@contextmanager
def building(directory: Path) -> Iterator[Path]:
    """A fresh directory beside `directory` that takes its place, fsynced, when the block ends well.

    Builders below the same parent wait for each other. A killed one leaves `directory` as it was, or for the instant
    between two renames no directory at all; the next builder sweeps up after it.
    """
    parent = directory.parent
    parent.mkdir(parents=True, exist_ok=True)
    fresh, replaced = parent / f".{directory.name}.building", parent / f".{directory.name}.replaced"
    with _locked(parent):
        _remove(fresh, replaced)
        fresh.mkdir()
        try:
            yield fresh
            for path in (*fresh.iterdir(), fresh):
                _fsync(path)
            if directory.exists():
                directory.rename(replaced)
            fresh.rename(directory)
            _fsync(parent)
        finally:
            _remove(fresh, replaced)


def map_array(path: Path, *, size: int) -> npt.NDArray[np.generic]:
    """The array of an `.npy` file of `size` bytes, read-only. Raises OSError or ValueError for any other file."""
    if path.stat().st_size != size:
        raise ValueError(f"{path.name} is not {size} bytes long")
    mapped: npt.NDArray[np.generic] = np.load(path, mmap_mode="r")
    return mapped.view(np.ndarray)  # slicing np.memmap itself costs ten times as much


def save_strings(path: Path, strings: Sequence[str]) -> None:
    """Write `path` (the UTF-8 bytes, one string after another) and `path_offsets`, both `.npy`."""
    encoded = [string.encode() for string in strings]
    np.save(path.with_name(f"{path.name}.npy"), np.frombuffer(b"".join(encoded), np.uint8))
    np.save(path.with_name(f"{path.name}_offsets.npy"), np.array([0, *accumulate(map(len, encoded))], np.int64))


class Strings(Sequence[bytes]):
    """Strings in mapped memory, as `save_strings` wrote them."""

    def __init__(self, blob: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> None:
        self._blob, self._offsets = blob.data, offsets.data

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, position: SupportsIndex) -> bytes: ...

    @overload
    def __getitem__(self, position: slice) -> list[bytes]: ...

    def __getitem__(self, position: SupportsIndex | slice) -> bytes | list[bytes]:
        if isinstance(position, slice):
            return [self[each] for each in range(*position.indices(len(self)))]
        start = position.__index__()
        return self._blob[self._offsets[start] : self._offsets[start + 1]].tobytes()


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # the system frees it when the process dies
        yield
    finally:
        os.close(descriptor)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(*directories: Path) -> None:
    for directory in directories:
        if directory.exists():
            shutil.rmtree(directory)
