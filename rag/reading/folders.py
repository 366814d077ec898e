"""Finding the documents at a path: a folder with everything below it, or a single file."""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rag.reading.documents import SUFFIXES, unknown_suffix
from rag.reading.errors import NoDocuments


@dataclass(frozen=True, slots=True)
class FoundFile:
    """`source` names the document: the path below the folder without extension, unless two files would share it.

    `name` is the path below the folder with the extension, as a person knows the file.
    """

    path: Path
    source: str
    name: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder left aside. `source` is its path below the folder, printable whatever its bytes are."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class FoundDocuments:
    files: tuple[FoundFile, ...]
    skipped: tuple[Skipped, ...]


def find_documents(*, root: Path) -> FoundDocuments:
    """Documents sorted by name, and what was left aside and why.

    Raises NoDocuments when `root` is missing or holds nothing that can be read.
    """
    try:
        base = root.resolve(strict=True)
    except OSError as error:
        raise NoDocuments(f"{root}: cannot be opened: {error.strerror}") from error
    entries = list(_walk(base)) if base.is_dir() else [_judged(base, base.parent)]
    skipped = tuple(sorted((entry for entry in entries if isinstance(entry, Skipped)), key=lambda entry: entry.source))
    paths = sorted(entry for entry in entries if isinstance(entry, Path))
    if not paths:
        raise NoDocuments(_nothing_found(root, skipped))
    return FoundDocuments(_named(paths, base if base.is_dir() else base.parent), skipped)


def _walk(base: Path) -> Iterator[Path | Skipped]:
    refused: list[OSError] = []
    for folder, folders, files in os.walk(base, onerror=refused.append):
        here = Path(folder)
        for name in list(folders):
            if reason := _reason_to_stay_out(here / name):
                folders.remove(name)
                yield Skipped(_printable(here / name, base), reason)
        yield from (_judged(here / name, base) for name in files)
    yield from (
        Skipped(_printable(Path(error.filename), base), f"cannot be listed: {error.strerror}") for error in refused
    )


def _reason_to_stay_out(folder: Path) -> str | None:
    if folder.name.startswith("."):
        return "is hidden"
    return "is a link to a folder" if folder.is_symlink() else None


def _judged(path: Path, base: Path) -> Path | Skipped:
    reason = _reason_to_skip(path, base)
    return path if reason is None else Skipped(_printable(path, base), reason)


def _reason_to_skip(path: Path, base: Path) -> str | None:
    if not str(path.relative_to(base)).isprintable():
        return "has a name that is not printable UTF-8: rename it"
    if path.name.startswith("."):
        return "is hidden"
    if not path.resolve().is_relative_to(base):
        return "is a link to a file outside the folder"
    if path.suffix.lower() not in SUFFIXES:
        return unknown_suffix(path.name)
    return _reason_of_kind(path)


def _reason_of_kind(path: Path) -> str | None:
    try:
        return None if stat.S_ISREG(path.stat().st_mode) else "is not a regular file"
    except OSError as error:
        return f"cannot be opened: {error.strerror}"


def _named(paths: list[Path], base: Path) -> tuple[FoundFile, ...]:
    names = [path.relative_to(base).as_posix() for path in paths]
    stems = [str(PurePosixPath(name).with_suffix("")) for name in names]
    takers = Counter(stems) + Counter(names)
    sources = (stem if takers[stem] == 1 else name for stem, name in zip(stems, names, strict=True))
    return tuple(map(FoundFile, paths, sources, names))


def _printable(path: Path, base: Path) -> str:
    relative = os.fsencode(path.relative_to(base)).decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in relative)


def _nothing_found(root: Path, skipped: tuple[Skipped, ...]) -> str:
    if not skipped:
        return f"{root}: the folder is empty"
    first = "; ".join(f"{left.source} {left.reason}" for left in skipped[:3])
    return f"{root}: holds no document that can be read ({len(skipped)} left aside: {first})"
