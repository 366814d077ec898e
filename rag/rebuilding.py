"""The indexes of a corpus, made again from its rows: after the vector store was lost, or came back from an older backup.

Rows are the authority. What the collections still hold is kept, what another collection of the corpus holds under the same text
is copied, and only the rest is embedded (and paid for) again. The version keeps its number: nothing that it answers changes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from rag import building, clock, provider_stack, wiring
from rag.building import Build, Progress, Rows, Steps
from rag.embedding import EmbedderSpec
from rag.errors import IndexOutdated
from rag.ingest import document_embedder
from rag.models import ChunkSet, Corpus, CorpusVersion, VectorIndex
from rag.providers.metered import Meter

if TYPE_CHECKING:
    from rag.retrieval.dense import VectorStore


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """`found`: vectors that were there; `reused`: copied from another collection; `embedded`: texts sent to a provider."""

    corpus: str
    version: str
    found: int
    reused: int
    embedded: int


def versions_of(corpora: Sequence[str], *, all_ready: bool) -> Iterator[CorpusVersion]:
    """The active versions of these corpora (none named: of all), or every version that may be gone back to."""
    chosen = Corpus.objects.filter(slug__in=corpora) if corpora else Corpus.objects.all()
    for corpus in chosen.order_by("slug"):
        ready = corpus.versions.filter(state=CorpusVersion.State.READY).order_by("-number")
        yield from (ready if all_ready else ready.filter(pk=corpus.active_version_id or 0))


def rebuild(*, version: CorpusVersion, progress: Progress) -> Rebuilt:
    """Fill and verify every index of a version.

    Raises IndexOutdated (the settings name other embedders than those of the version), IndexUnavailable, ProviderError,
    VerificationFailed.
    """
    now = clock.now()
    meter = Meter(prices=wiring.latest_prices(), now=clock.now)
    receipt = f"rebuild-{version.pk}-{int(now.timestamp())}"
    build = Build(version, wiring.build_store(), progress, meter, receipt=receipt)
    found = 0
    for chunk_set in version.chunk_sets.order_by("pk"):
        for index in chunk_set.vector_indexes.order_by("pk"):
            found += fill(build, chunk_set, index)
        building.index_words(chunk_set, root=Path(settings.BM25_DIR), analyzer=wiring.ANALYZER)
        building.verify(build, chunk_set, root=Path(settings.BM25_DIR), analyzer=wiring.ANALYZER)
    return Rebuilt(version.corpus.slug, version.label, found, build.reused, build.embedded)


def fill(build: Build, chunk_set: ChunkSet, index: VectorIndex) -> int:
    """Write what the collection lacks; returns how many vectors were there."""
    spec = spec_of(index, provider_stack.ingest_embedders())
    embedder = document_embedder(build, spec)
    found = done = 0
    prepare(build.store, index, chunk_set)
    for batch in building.batches_of_rows(chunk_set):
        lacking = without_vectors(build.store, index, batch)
        steps = Steps(build, f"{index.provider} ({chunk_set.chunker})", chunk_set.count, done, 1)
        if lacking:
            vectors = building.vectors_of(build, lacking, spec, embedder, chunk_set, steps)
            build.store.write(collection=index.collection, keys=[key for key, *_ in lacking], vectors=vectors)
        found += len(batch) - len(lacking)
        done += len(batch)
        build.tell(steps.stage, done, chunk_set.count)
    return found


def spec_of(index: VectorIndex, known: Iterable[EmbedderSpec]) -> EmbedderSpec:
    """The embedder that filled the index, which must be one of those that the settings name."""
    for spec in known:
        if spec.identity() == index.identity():
            return spec
    raise IndexOutdated(
        f"{index} was filled by {index.identity()}, which the settings do not name: ingest the corpus again"
    )


def prepare(store: "VectorStore", index: VectorIndex, chunk_set: ChunkSet) -> None:
    """The collection as it is; made anew where it holds more than the rows, because what is too much has no name."""
    store.create(index.collection)
    if store.count(index.collection) > chunk_set.count:
        store.drop(index.collection)
        store.create(index.collection)


def without_vectors(store: "VectorStore", index: VectorIndex, batch: Rows) -> Rows:
    """The rows of the batch that the collection lacks, or whose vectors are of another width."""
    stored = store.read(collection=index.collection, keys=[key for key, *_ in batch])
    return [row for row in batch if row[0] not in stored or len(stored[row[0]]) != index.dimensions]
