"""Text files of a data set, read strictly and one line at a time: what is wrong is named with its file and line.

UTF-8; a byte order mark at the start and CRLF line ends are accepted, blank lines are passed over.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

_BOM = b"\xef\xbb\xbf"
_T = TypeVar("_T")


class DatasetError(ValueError):
    """A data set that cannot be used as it is. The message names the file and, where there is one, the line."""


@contextmanager
def located(path: Path, number: int) -> Iterator[None]:
    """Adds file and line to a ValueError from within."""
    try:
        yield
    except ValueError as error:
        raise DatasetError(f"{shown(path)}, line {number}: {error}") from error


def shown(path: Path) -> str:
    """A file with its folder, as messages name it."""
    return f"{path.resolve().parent.name}/{path.name}"


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without its end) of the lines that are not blank."""
    try:
        lines = path.open("rb")
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from error
    with lines:
        for number, line in enumerate(lines, start=1):
            with located(path, number):
                text = line.removeprefix(_BOM if number == 1 else b"").decode("utf-8")
            if text.strip():
                yield number, text.rstrip("\r\n")


def objects(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """(line number, JSON object) of the lines that are not blank."""
    for number, line in text_lines(path):
        with located(path, number):
            value = _parsed(line)
        yield number, value


def typed(row: dict[str, object], name: str, expected: type[_T]) -> _T:
    """Raises ValueError when the field is missing or of another type."""
    require(name in row, f"missing {name}")
    value = row[name]
    # bool is a subclass of int, and `true` is no offset.
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise ValueError(f"{name!r} must be {expected.__name__}, not {type(value).__name__}")
    return value


def filled(row: dict[str, object], name: str) -> str:
    """A text that says something. Raises ValueError."""
    value = typed(row, name, str)
    require(bool(value.strip()), f"{name!r} is empty")
    return value


def require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def _parsed(line: str) -> dict[str, object]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("not JSON that can be read: nested too deep") from error
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, not {type(value).__name__}")
    return value
