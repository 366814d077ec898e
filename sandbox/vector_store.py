"""Vectors on disk, so that a restart computes nothing again. Used by one thread only."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sandbox.encoder import Matrix


class VectorStore:
    """A small SQLite file. Each `put` is one transaction: after kill -9 a row is whole or absent."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, check_same_thread=False, timeout=10)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS vectors (digest BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
        )

    def get(self, key: bytes) -> Matrix | None:
        row = self._connection.execute("SELECT vector FROM vectors WHERE digest = ?", (key,)).fetchone()
        return np.frombuffer(row[0], dtype="<f4") if row else None

    def put(self, keys: Sequence[bytes], rows: Matrix) -> None:
        pairs = [(key, row.astype("<f4").tobytes()) for key, row in zip(keys, rows, strict=True)]
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", pairs)

    def close(self) -> None:
        self._connection.close()
