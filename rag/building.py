"""The steps of building one corpus version: rows, vectors, BM25 index, verification. `rag.ingest` tells the story."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from costs.ledger import Booking, book
from rag import clock
from rag.chunking.keys import parent_key
from rag.embedding import LONGEST_TEXT, EmbedderSpec, batches
from rag.errors import IndexOutdated
from rag.models import Chunk, ChunkSet, CorpusVersion, Document, VectorIndex
from rag.providers.contracts import Embedder, EmbedRequest
from rag.providers.metered import Meter
from rag.retrieval.analyzer import Analyzer
from rag.retrieval.lexical import LexicalIndex
from rag.retrieval.lexical_files import build as build_lexical
from rag.retrieval.lexical_files import directory_of
from rag.values import ParsedDocument, indexed_text, sha256
from rag.writers import Writers

if TYPE_CHECKING:
    from rag.retrieval.dense import VectorStore

WRITE_AT_ONCE = 1_000
HEARTBEAT = timedelta(seconds=5)

Progress = Callable[[str, int, int], None]
"""(stage, done, total); total 0 = not known yet."""
T = TypeVar("T")
Vectors = dict[str, NDArray[np.float32]]


class VerificationFailed(Exception):
    """A built version does not agree with itself and must not serve."""


@dataclass(slots=True)
class Build:
    """A version being built, with what the steps share."""

    version: CorpusVersion
    store: "VectorStore"
    progress: Progress
    meter: Meter
    receipt: str = ""
    """under which what it costs is booked; empty: as the ingest of the version"""
    booked: int = 0
    embedded: int = 0
    reused: int = 0
    _last_heartbeat: float = field(default=0.0)

    def tell(self, stage: str, done: int, total: int) -> None:
        """Report progress, and leave a sign of life in the version's row every few seconds."""
        self.progress(stage, done, total)
        now = clock.now()
        if now.timestamp() - self._last_heartbeat > HEARTBEAT.total_seconds():
            self._last_heartbeat = now.timestamp()
            CorpusVersion.objects.filter(pk=self.version.pk).update(heartbeat_at=now)

    def book_attempts(self) -> None:
        """Book what was spent since the last call: a crash loses at most one batch."""
        fresh = self.meter.attempts[self.booked :]
        receipt = self.receipt or f"ingest-{self.version.pk}"
        booking = Booking(trace_id=receipt, kind="ingest", corpus=self.version.corpus.slug)
        book(attempts=fresh, booking=booking, first=self.booked)
        self.booked += len(fresh)


def save_documents(build: Build, documents: Sequence[ParsedDocument]) -> list[Document]:
    rows = [
        Document(
            version=build.version,
            source=document.source,
            title=document.title[:400],
            markup=document.markup,
            text=document.text,
            sha256=sha256(document.text),
        )
        for document in documents
    ]
    return Document.objects.bulk_create(rows, batch_size=100)


def in_batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while batch := list(islice(items, size)):
        yield batch


def index_vectors(
    build: Build, chunk_set: ChunkSet, embedders: Mapping[EmbedderSpec, Embedder], writers: Writers
) -> None:
    """Send the chunk set's vectors in every space to the writers: stored ones of equal texts are reused, the rest embedded."""
    indexes = {spec: new_index(build, chunk_set, spec) for spec in embedders}
    done = 0
    for batch in batches_of_rows(chunk_set):
        steps = Steps(build, f"embedding ({chunk_set.chunker})", chunk_set.count, done, len(indexes))
        keys = [key for key, *_ in batch]
        for spec, index in indexes.items():
            vectors = vectors_of(build, batch, spec, embedders[spec], chunk_set, steps)
            writers.put(collection=index.collection, keys=keys, vectors=vectors)
        done += len(batch)
        build.tell(steps.stage, done, chunk_set.count)
    for index in indexes.values():
        index.count = done
        index.save(update_fields=["count"])


def new_index(build: Build, chunk_set: ChunkSet, spec: EmbedderSpec) -> VectorIndex:
    index = VectorIndex.objects.create(
        chunk_set=chunk_set,
        provider=spec.provider,
        model=spec.model,
        dimensions=spec.dimensions,
        provider_mode=spec.endpoint.mode,
        collection=collection_name(chunk_set, spec),
    )
    build.store.drop(index.collection)  # a leftover of a database that is gone
    build.store.create(index.collection)
    return index


def collection_name(chunk_set: ChunkSet, spec: EmbedderSpec) -> str:
    """Carries corpus, version, chunker and embedder; simulated vectors never share a name with real ones."""
    version = chunk_set.version
    space = f"{spec.provider}-{spec.dimensions}__{spec.endpoint.mode}"
    return f"{version.corpus.slug}__{version.label}__{chunk_set.chunker}__{space}"


@dataclass(slots=True)
class Steps:
    """How far a batch has come, told in chunks: `done` before it, then each space's share of what is embedded of it."""

    build: Build
    stage: str
    total: int
    done: int
    spaces: int
    embedded: int = 0

    def more(self, texts: int) -> None:
        self.embedded += texts
        self.build.tell(self.stage, min(self.done + self.embedded // self.spaces, self.total), self.total)


Rows = list[tuple[str, str, str, str]]
"""(key, sha256, heading, text) of chunks, in order."""


def batches_of_rows(chunk_set: ChunkSet) -> Iterator[Rows]:
    rows = chunk_set.chunks.order_by("position").values_list("key", "sha256", "heading", "text")
    return in_batches(rows.iterator(chunk_size=WRITE_AT_ONCE), WRITE_AT_ONCE)


def vectors_of(
    build: Build, batch: Rows, spec: EmbedderSpec, embedder: Embedder, chunk_set: ChunkSet, steps: Steps
) -> NDArray[np.float32]:
    """One row of the result for each chunk of the batch."""
    wanted = {digest: indexed_text(heading=heading, text=text) for _, digest, heading, text in batch}
    vectors = stored_vectors(build, chunk_set, spec, set(wanted))
    build.reused += len(vectors)
    missing = {digest: text for digest, text in wanted.items() if digest not in vectors}
    vectors.update(_embedded(build, missing, spec, embedder, steps))
    return np.stack([vectors[digest] for _, digest, _, _ in batch])


def stored_vectors(build: Build, chunk_set: ChunkSet, spec: EmbedderSpec, wanted: set[str]) -> Vectors:
    """Vectors of the same texts in the same space, from any other version or chunk set of this corpus, half-built ones too."""
    found: Vectors = {}
    same_space = VectorIndex.objects.filter(
        chunk_set__version__corpus=build.version.corpus,
        provider=spec.provider,
        model=spec.model,
        dimensions=spec.dimensions,
        provider_mode=spec.endpoint.mode,
    )
    for index in same_space.exclude(chunk_set=chunk_set).order_by("-pk"):
        if wanted <= found.keys():
            break
        digests = _digests(index.chunk_set_id, wanted - found.keys())
        try:
            stored = build.store.read(collection=index.collection, keys=list(digests))
        except IndexOutdated:
            continue
        found.update({digests[key]: vector for key, vector in stored.items()})
    return found


def _digests(chunk_set_id: int, wanted: set[str]) -> dict[str, str]:
    """Key -> text hash of the chunks of another set that hold a wanted text."""
    rows = Chunk.objects.filter(chunk_set_id=chunk_set_id, sha256__in=list(wanted))
    return dict(rows.values_list("key", "sha256"))


def _embedded(build: Build, missing: dict[str, str], spec: EmbedderSpec, embedder: Embedder, steps: Steps) -> Vectors:
    digests = iter(missing)
    vectors: Vectors = {}
    for found in embedded(build, list(missing.values()), spec, embedder):
        vectors.update(zip(islice(digests, len(found)), found, strict=True))
        steps.more(len(found))
    return vectors


def embedded(
    build: Build, texts: Sequence[str], spec: EmbedderSpec, embedder: Embedder
) -> Iterator[NDArray[np.float32]]:
    """The vectors of the texts in order, request by request, each booked."""
    for batch in batches([text[:LONGEST_TEXT] for text in texts]):
        try:
            reply = embedder.send(EmbedRequest(spec.model, batch, "document", spec.dimensions))
        finally:
            build.book_attempts()
        build.embedded += len(batch)
        yield np.asarray(reply.vectors, dtype=np.float32)


def index_words(chunk_set: ChunkSet, *, root: Path, analyzer: Analyzer) -> None:
    build_lexical(root=root, chunk_set_id=chunk_set.pk, analyzer=analyzer)


def verify(build: Build, chunk_set: ChunkSet, *, root: Path, analyzer: Analyzer) -> None:
    """Rows = Chroma = BM25, and each index finds something; raises VerificationFailed naming the first disagreement."""
    rows = chunk_set.chunks.count()
    lexical = LexicalIndex.open(directory_of(root=root, chunk_set_id=chunk_set.pk), analyzer=analyzer)
    if lexical.count != rows:
        raise VerificationFailed(f"{chunk_set}: {rows} rows, but {lexical.count} in the BM25 index")
    if chunk_set.parent_size:
        verify_parents(chunk_set)
    probe = chunk_set.chunks.order_by("position").first()
    for index in chunk_set.vector_indexes.all():
        stored = build.store.count(index.collection)
        if stored != rows:
            raise VerificationFailed(f"{index}: {rows} rows, but {stored} vectors")
        if probe is not None:
            smoke(build.store, index, probe.key)


def verify_parents(chunk_set: ChunkSet) -> None:
    """What is found must have something that is sent in its place, and nothing be there that is never found."""
    named = {parent_key(key) for key in chunk_set.chunks.values_list("key", flat=True).iterator()}
    stored = set(chunk_set.parents.values_list("key", flat=True).iterator())
    if named != stored:
        raise VerificationFailed(
            f"{chunk_set}: {len(named - stored)} parents are missing, {len(stored - named)} are childless"
        )


def smoke(store: "VectorStore", index: VectorIndex, key: str) -> None:
    """The vector of a chunk must have the right width and be found by a search for itself, up to equal texts."""
    vector = store.read(collection=index.collection, keys=[key]).get(key)
    if vector is None or len(vector) != index.dimensions:
        raise VerificationFailed(f"{index}: the vector of {key} is missing or not {index.dimensions} wide")
    hits = store.search(collection=index.collection, vectors=[vector.tolist()], limit=3)[0]
    if not hits or hits[0].score < 0.99:
        raise VerificationFailed(f"{index}: a search for the vector of {key} does not find it")
