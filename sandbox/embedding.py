"""Vectors for the event loop: memory first, then disk, then the encoder, in one worker thread.

Requests take turns at the encoder a few texts at a time, so that one question never waits for a whole ingest batch.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sandbox.encoder import WIDTH, Encoder, Matrix
from sandbox.lru import LruDict, digest
from sandbox.vector_store import VectorStore

KEPT_IN_MEMORY = 30_000  # 1.6 kB each, about 50 MB


class Embedding:
    """`worker` must have a single thread: the encoder and the store are not shared between threads."""

    def __init__(self, *, encoder: Encoder, worker: ThreadPoolExecutor, store: VectorStore | None = None) -> None:
        self._encoder = encoder
        self._worker = worker
        self._store = store
        self._memory: LruDict[Matrix] = LruDict(capacity=KEPT_IN_MEMORY)

    @property
    def name(self) -> str:
        return self._encoder.name

    async def vectors(self, texts: Sequence[str]) -> Matrix:
        """(len(texts), WIDTH) float32, rows of length 1."""
        keys = [digest(text) for text in texts]
        found = {key: row for key in keys if (row := self._memory.get(key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        pending = list(missing.items())
        for start in range(0, len(pending), self._encoder.texts_per_turn):
            turn = dict(pending[start : start + self._encoder.texts_per_turn])
            rows = await asyncio.get_running_loop().run_in_executor(self._worker, self._compute, turn)
            for key, row in rows.items():
                self._memory.put(key, row)
                found[key] = row
        return np.stack([found[key] for key in keys]) if keys else np.empty((0, WIDTH), dtype=np.float32)

    def _compute(self, turn: dict[bytes, str]) -> dict[bytes, Matrix]:
        stored = {key: row for key in turn if self._store and (row := self._store.get(key)) is not None}
        absent = [key for key in turn if key not in stored]
        if not absent:
            return stored
        rows = self._encoder.encode([turn[key] for key in absent])
        if self._store:
            self._store.put(absent, rows)
        return stored | dict(zip(absent, rows, strict=True))
