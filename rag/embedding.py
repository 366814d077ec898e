"""The embedders that the settings name, and batches that a vendor accepts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.providers.contracts import Endpoint

CHARACTERS_PER_TOKEN = 3  # on the safe side: code has more tokens a character than prose
BATCH_TOKENS = 80_000  # below every vendor's limit a request (120,000 is the smallest)
BATCH_TEXTS = 128
LONGEST_TEXT = 24_000  # characters; about 8,000 tokens, the smallest limit a text


@dataclass(frozen=True, slots=True)
class EmbedderSpec:
    """One vector space: who makes it, with which model and width. Vectors of different modes never mix."""

    endpoint: Endpoint
    model: str
    dimensions: int

    @property
    def provider(self) -> str:
        return self.endpoint.vendor

    def identity(self) -> str:
        return f"{self.provider}:{self.model}:{self.dimensions}:{self.endpoint.mode}"


def batches(texts: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The texts in order, cut into requests by estimated TOKENS first and by count second."""
    batch: list[str] = []
    tokens = 0
    for text in texts:
        cost = len(text) // CHARACTERS_PER_TOKEN + 1
        if batch and (tokens + cost > BATCH_TOKENS or len(batch) == BATCH_TEXTS):
            yield tuple(batch)
            batch, tokens = [], 0
        batch.append(text)
        tokens += cost
    if batch:
        yield tuple(batch)
