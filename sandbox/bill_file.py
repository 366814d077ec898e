"""The bill on disk, so that a restart does not forget what a day has cost: one JSON line an entry."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from sandbox.bill_entry import Entry

DROPPED = "dropped_until"


class BillFile:
    """Only one sandbox may use it. A line that was cut by a crash is left out."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        path.touch()

    def load(self) -> tuple[list[Entry], datetime | None]:
        """What was billed, oldest first, and the time of the newest entry that is not there any more."""
        lines = list(self._lines())
        if lines and not self._path.read_bytes().endswith(b"\n"):
            self._write("\n", mode="a")  # what comes next is a line of its own
        dropped = [datetime.fromisoformat(line[DROPPED]) for line in lines if DROPPED in line]
        return [entry_of(line) for line in lines if DROPPED not in line], max(dropped, default=None)

    def append(self, entry: Entry) -> None:
        self._write(line_of(row_of(entry)), mode="a")

    def replace(self, entries: Iterable[Entry], *, dropped_until: datetime | None) -> None:
        """Begin anew with these entries."""
        head = [{DROPPED: dropped_until.isoformat()}] if dropped_until else []
        self._write("".join(map(line_of, [*head, *map(row_of, entries)])), mode="w")

    def _write(self, text: str, *, mode: Literal["a", "w"]) -> None:
        with self._path.open(mode, encoding="utf-8") as file:
            file.write(text)

    def _lines(self) -> Iterator[dict[str, Any]]:
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue


def line_of(row: dict[str, Any]) -> str:
    return f"{json.dumps(row)}\n"


def row_of(entry: Entry) -> dict[str, Any]:
    return asdict(entry) | {"at": entry.at.isoformat(), "cost_usd": str(entry.cost_usd)}


def entry_of(row: dict[str, Any]) -> Entry:
    return Entry(**row | {"at": datetime.fromisoformat(row["at"]), "cost_usd": Decimal(row["cost_usd"])})
