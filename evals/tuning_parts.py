"""The parts that answer questions, with a memory: what was asked of an index or a provider once is not asked again.

`rag.finding` runs over them as it does over the real ones, so a configuration scores here what it scores when it serves.
Vectors and BM25 are searched for more candidates than most configurations want; each gets the head of that list.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from costs.usage import Usage
from rag.parts import DenseIndex, LexicalIndex, Passages
from rag.providers.contracts import (
    ChatModel,
    ChatReply,
    ChatRequest,
    Embedder,
    EmbedReply,
    EmbedRequest,
    Reranker,
    RerankReply,
    RerankRequest,
)
from rag.values import Hit, Passage

DEPTH = 100
"""candidates of a search that are fetched at once; as many as HNSW looks at for any smaller number (`ef_search`)"""
FREE = Usage()
Hits = tuple[Hit, ...]
Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RememberedEmbedder:
    """Texts that are missing are sent together, so that a batch may be asked for beforehand."""

    inner: Embedder
    known: dict[str, Vector] = field(default_factory=dict)

    def send(self, request: EmbedRequest) -> EmbedReply:
        missing = tuple(dict.fromkeys(text for text in request.texts if text not in self.known))
        if missing:
            reply = self.inner.send(EmbedRequest(request.model, missing, request.purpose, request.dimensions))
            self.known.update(
                zip(missing, (np.asarray(vector, dtype=np.float32) for vector in reply.vectors), strict=True)
            )
        return EmbedReply(tuple(self.known[text] for text in request.texts), FREE, "")  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class RememberedDense:
    """The vector index; `known` by the bytes of a vector and how deep the search went."""

    inner: DenseIndex
    known: dict[tuple[bytes, int], Hits] = field(default_factory=dict)

    def search(self, *, vectors: Sequence[Sequence[float]], limit: int) -> tuple[Hits, ...]:
        depth = depth_of(limit)
        keys = [(np.asarray(vector, dtype=np.float32).tobytes(), depth) for vector in vectors]
        missing = {key: vector for key, vector in zip(keys, vectors, strict=True) if key not in self.known}
        if missing:
            found = self.inner.search(vectors=list(missing.values()), limit=depth)
            self.known.update(zip(missing, found, strict=True))
        return tuple(self.known[key][:limit] for key in keys)


@dataclass(frozen=True, slots=True)
class RememberedLexical:
    inner: LexicalIndex
    known: dict[tuple[str, int], Hits] = field(default_factory=dict)

    def search(self, *, query: str, limit: int) -> Hits:
        key = query, depth_of(limit)
        if key not in self.known:
            self.known[key] = self.inner.search(query=query, limit=depth_of(limit))
        return self.known[key][:limit]


def depth_of(limit: int) -> int:
    """How many are fetched for those that want `limit`. A deeper search of HNSW may find others, so one is never the head of
    the other."""
    return max(limit, DEPTH)


@dataclass(frozen=True, slots=True)
class RememberedReranker:
    """All documents of a request are ranked once; the number wanted is taken from that."""

    inner: Reranker
    known: dict[bytes, tuple[tuple[int, float], ...]] = field(default_factory=dict)

    def send(self, request: RerankRequest) -> RerankReply:
        key = key_of(request)
        if key not in self.known:
            whole = RerankRequest(request.model, request.query, request.documents, len(request.documents))
            self.known[key] = self.inner.send(whole).ranking
        return RerankReply(self.known[key][: request.top_n], FREE, "")


@dataclass(frozen=True, slots=True)
class WouldRerank:
    """Says what would be asked of the reranker that is not known, so that it can be asked for in parallel."""

    remembered: RememberedReranker
    wanted: dict[bytes, RerankRequest] = field(default_factory=dict)

    def send(self, request: RerankRequest) -> RerankReply:
        key = key_of(request)
        if key not in self.remembered.known:
            self.wanted[key] = request
        return RerankReply(tuple((index, 0.0) for index in range(request.top_n)), FREE, "")


def key_of(request: RerankRequest) -> bytes:
    digest = hashlib.sha256()
    for text in (request.model, request.query, *request.documents):
        digest.update(text.encode() + b"\0")
    return digest.digest()


@dataclass(frozen=True, slots=True)
class RememberedChat:
    """The small model that transforms questions."""

    inner: ChatModel
    known: dict[str, ChatReply] = field(default_factory=dict)

    def send(self, request: ChatRequest) -> ChatReply:
        key = request.fingerprint()
        if key not in self.known:
            self.known[key] = self.inner.send(request)
        return self.known[key]


@dataclass(frozen=True, slots=True)
class RememberedPassages:
    """A key without a live passage is remembered as such."""

    inner: Passages
    known: dict[str, Passage | None] = field(default_factory=dict)

    def load(self, keys: Sequence[str]) -> dict[str, Passage]:
        missing = [key for key in keys if key not in self.known]
        if missing:
            live = self.inner.load(missing)
            self.known.update({key: live.get(key) for key in missing})
        return {key: passage for key in keys if (passage := self.known[key]) is not None}
