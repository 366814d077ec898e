"""Writing vectors in the background."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rag.retrieval.dense import VectorStore


WAITING = 8


class Writers:
    """Hands vectors to Chroma in the background, one thread a space, while the next ones are embedded.

    At most WAITING batches are held; `put` waits when there are more, and raises what a write has failed with.
    """

    def __init__(self, store: "VectorStore", spaces: int) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(spaces)
        self._pending: deque[Future[None]] = deque()
        self._most = WAITING * spaces

    def put(self, *, collection: str, keys: Sequence[str], vectors: NDArray[np.float32]) -> None:
        while len(self._pending) >= self._most:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._store.write, collection=collection, keys=keys, vectors=vectors))

    def settle(self) -> None:
        """Wait until everything is written; the first write that failed raises here."""
        while self._pending:
            self._pending.popleft().result()

    def close(self) -> None:
        """Start no more writes, and wait for the one that each thread is at."""
        self._pool.shutdown(cancel_futures=True)
