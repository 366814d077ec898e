"""Cutting the documents of a version by a recipe, and storing the pieces."""

from collections.abc import Iterable, Iterator, Sequence

from rag.building import Build, embedded, in_batches
from rag.chunking.cutting import SEMANTIC, cut
from rag.chunking.semantic import Embed
from rag.embedding import EmbedderSpec
from rag.models import Chunk, ChunkSet, Document, ParentChunk
from rag.providers.contracts import Embedder
from rag.turning import Turns
from rag.values import ChunkDraft, ChunkRecipe, ParsedDocument, indexed_text, sha256

ROWS_AT_ONCE = 500
LONGEST_HEADING = 1000

Piece = tuple[Document, ChunkDraft]


def save_chunks(
    build: Build,
    rows: Sequence[Document],
    documents: Sequence[ParsedDocument],
    named: tuple[str, ChunkRecipe],
    sentences: tuple[EmbedderSpec, Embedder],
) -> ChunkSet:
    """Cut every document by the recipe of that name and store the pieces, numbered through the version in order.

    `sentences`: what embeds them, where the recipe cuts by their meaning.
    """
    name, recipe = named
    chunk_set = ChunkSet.objects.create(
        version=build.version, chunker=name, size=recipe.size, overlap=recipe.overlap, parent_size=recipe.parent_size
    )
    if recipe.chunker == SEMANTIC:
        spec, embedder = sentences
        turns = Turns(
            chunk_set=chunk_set,
            recipe=recipe,
            embedder=spec.identity(),
            embed=sentence_embedder(build, spec, embedder, name),
        )
        pieces = semantic_pieces(turns, rows, documents, recipe)
    else:
        pieces = cut_pieces(rows, documents, recipe)
    chunk_set.count = stored(chunk_set, told(build, f"cutting ({name})", pieces, len(rows)))
    chunk_set.save(update_fields=["count"])
    return chunk_set


def sentence_embedder(build: Build, spec: EmbedderSpec, embedder: Embedder, name: str) -> Embed:
    def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        rows: list[Sequence[float]] = []
        for vectors in embedded(build, texts, spec, embedder):
            rows += list(vectors)
            build.tell(f"comparing sentences ({name})", len(rows), len(texts))
        return rows

    return embed


def cut_pieces(
    rows: Sequence[Document], documents: Sequence[ParsedDocument], recipe: ChunkRecipe
) -> Iterator[tuple[Document, Iterable[ChunkDraft]]]:
    for row, document in zip(rows, documents, strict=True):
        yield row, cut(document=document, recipe=recipe)


def semantic_pieces(
    turns: Turns, rows: Sequence[Document], documents: Sequence[ParsedDocument], recipe: ChunkRecipe
) -> Iterator[tuple[Document, Iterable[ChunkDraft]]]:
    for row, document, distances in turns.measured(rows, documents):
        yield row, cut(document=document, recipe=recipe, distances=distances)


def told(
    build: Build, stage: str, pieces: Iterable[tuple[Document, Iterable[ChunkDraft]]], total: int
) -> Iterator[Piece]:
    for number, (row, drafts) in enumerate(pieces, 1):
        yield from ((row, draft) for draft in drafts)
        build.tell(stage, number, total)


def stored(chunk_set: ChunkSet, pieces: Iterator[Piece]) -> int:
    """How many chunks there are. Parents are stored with the first of their parts."""
    position, parent = 0, ""
    for batch in in_batches(pieces, ROWS_AT_ONCE):
        parents = []
        for row, draft in batch:
            if draft.parent is not None and draft.parent.key != parent:
                parent = draft.parent.key
                parents.append(parent_row(chunk_set, row, draft.parent))
        ParentChunk.objects.bulk_create(parents)
        Chunk.objects.bulk_create(chunk_row(chunk_set, *piece, position + n) for n, piece in enumerate(batch))
        position += len(batch)
    return position


def chunk_row(chunk_set: ChunkSet, row: Document, draft: ChunkDraft, position: int) -> Chunk:
    heading = draft.heading[:LONGEST_HEADING]
    return Chunk(
        chunk_set=chunk_set,
        document=row,
        position=position,
        key=draft.key,
        heading=heading,
        text=draft.text,
        start=draft.start,
        end=draft.end,
        sha256=sha256(indexed_text(heading=heading, text=draft.text)),
    )


def parent_row(chunk_set: ChunkSet, row: Document, draft: ChunkDraft) -> ParentChunk:
    return ParentChunk(
        chunk_set=chunk_set,
        document=row,
        key=draft.key,
        heading=draft.heading[:LONGEST_HEADING],
        text=draft.text,
        start=draft.start,
        end=draft.end,
    )
