"""How far the text of each document turns at the gaps between its sentences, measured with an embedder, once.

What any version of the corpus has measured of the same sentences is used again, so that documents that did not change cost
nothing to cut anew.
"""

from collections.abc import Iterator, Sequence

from django.db.models import Q

from rag.chunking.semantic import Distances, Embed, Gap, distances_at, gaps_of, unit_texts
from rag.models import ChunkSet, Document, TurnsOfMeaning
from rag.values import ChunkRecipe, ParsedDocument

GAPS_AT_ONCE = 2_000
"""Short documents share requests until they have so many gaps; of a long one no more vectors are held at a time."""

Known = dict[str, float]


class Turns:
    """Distances for the documents of one chunk set; `embedder` names the vector space. Raises what `embed` raises."""

    def __init__(self, *, chunk_set: ChunkSet, recipe: ChunkRecipe, embedder: str, embed: Embed) -> None:
        self._chunk_set = chunk_set
        self._recipe = recipe
        self._embedder = embedder
        self._embed = embed

    def measured(
        self, rows: Sequence[Document], documents: Sequence[ParsedDocument]
    ) -> Iterator[tuple[Document, ParsedDocument, Distances]]:
        """Each document with its distances, which are stored as they are measured."""
        for batch in batches(self._with_gaps(rows, documents)):
            known = self._stored([row for row, _, _ in batch])
            wanted = {gap.key: gap for _, _, gaps in batch for gap in gaps}
            known.update(self._measured([gap for key, gap in wanted.items() if key not in known]))
            self._store([(row, {gap.key: known[gap.key] for gap in gaps}) for row, _, gaps in batch])
            for row, document, _ in batch:
                yield row, document, looked_up(known)

    def _with_gaps(self, rows: Sequence[Document], documents: Sequence[ParsedDocument]) -> Iterator["Measured"]:
        for row, document in zip(rows, documents, strict=True):
            yield row, document, gaps_of(unit_texts(document, self._recipe))

    def _stored(self, rows: Sequence[Document]) -> Known:
        """What was measured in documents of the same name or the same text, in any version, half-built ones too."""
        alike = Q(document__source__in=[row.source for row in rows]) | Q(
            document__sha256__in=[row.sha256 for row in rows]
        )
        corpus = self._chunk_set.version.corpus_id
        stored = TurnsOfMeaning.objects.filter(alike, chunk_set__version__corpus=corpus, embedder=self._embedder)
        known: Known = {}
        for distances in stored.order_by("pk").values_list("distances", flat=True):
            known.update(distances)
        return known

    def _measured(self, gaps: Sequence[Gap]) -> Known:
        found: Known = {}
        vectors: dict[str, Sequence[float]] = {}
        for first in range(0, len(gaps), GAPS_AT_ONCE):
            some = gaps[first : first + GAPS_AT_ONCE]
            texts = dict.fromkeys(text for gap in some for side in gap for text in side)
            new = [text for text in texts if text not in vectors]
            vectors = {text: vectors[text] for text in texts if text in vectors}
            vectors.update(zip(new, self._embed(new), strict=True))
            found.update(zip((gap.key for gap in some), distances_at(some, vectors), strict=True))
        return found

    def _store(self, measured: Sequence[tuple[Document, Known]]) -> None:
        TurnsOfMeaning.objects.bulk_create(
            TurnsOfMeaning(chunk_set=self._chunk_set, document=row, embedder=self._embedder, distances=distances)
            for row, distances in measured
            if distances
        )


Measured = tuple[Document, ParsedDocument, list[Gap]]


def looked_up(known: Known) -> Distances:
    return lambda texts: [known[gap.key] for gap in gaps_of(texts)]


def batches(documents: Iterator[Measured]) -> Iterator[list[Measured]]:
    """Whole documents, as many as have GAPS_AT_ONCE gaps together."""
    batch: list[Measured] = []
    gaps = 0
    for each in documents:
        batch.append(each)
        gaps += len(each[2]) + 1
        if gaps >= GAPS_AT_ONCE:
            yield batch
            batch, gaps = [], 0
    if batch:
        yield batch
