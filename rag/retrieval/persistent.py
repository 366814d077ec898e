"""A vector search that is tried again when the store is away, in growing intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.errors import IndexUnavailable
from rag.providers.deadlined import no_time_for
from rag.providers.retry import RetryPolicy, delay
from rag.values import Hit

if TYPE_CHECKING:
    from rag.retrieval.dense import VectorStore

POLICY = RetryPolicy(attempts=4, base_s=0.2, cap_s=1.0)


@dataclass(frozen=True, slots=True)
class PersistentCollection:
    """One collection of the vector store, as the pipeline sees it. Raises IndexUnavailable after the last attempt."""

    store: "VectorStore"
    collection: str
    sleep: Callable[[float], None]
    draw: Callable[[], float]
    policy: RetryPolicy = POLICY

    def search(self, *, vectors: Sequence[Sequence[float]], limit: int) -> tuple[tuple[Hit, ...], ...]:
        for attempt in range(self.policy.attempts - 1):
            try:
                return self.store.search(collection=self.collection, vectors=vectors, limit=limit)
            except IndexUnavailable:
                wait = delay(policy=self.policy, attempt=attempt, retry_after_s=None, chance=self.draw())
                if no_time_for(wait):
                    raise
            self.sleep(wait)
        return self.store.search(collection=self.collection, vectors=vectors, limit=limit)
