"""Cutting a document into chunks by a recipe."""

from collections.abc import Callable

from rag.chunking.fixed import cut_fixed
from rag.chunking.hierarchical import cut_hierarchical
from rag.chunking.semantic import Distances, cut_semantic
from rag.chunking.structural import cut_structural
from rag.values import ChunkDraft, ChunkRecipe, ParsedDocument

Chunker = Callable[[ParsedDocument, ChunkRecipe], tuple[ChunkDraft, ...]]

CHUNKERS: dict[str, Chunker] = {"fixed": cut_fixed, "structural": cut_structural, "hierarchical": cut_hierarchical}
SEMANTIC = "semantic"
"""the chunker that needs distances besides"""


def cut(*, document: ParsedDocument, recipe: ChunkRecipe, distances: Distances | None = None) -> tuple[ChunkDraft, ...]:
    """Chunks in the order of the text, none of them blank, with keys unique within the document.

    `distances` are asked for by the `semantic` chunker alone. Raises ValueError for an unknown chunker and for sizes that
    cannot be: `size` below 1, an overlap that is negative or not smaller than the size, or parents smaller than their children.
    """
    if recipe.chunker not in (*CHUNKERS, SEMANTIC):
        raise ValueError(f"Unknown chunker {recipe.chunker!r}; known: {', '.join(sorted((*CHUNKERS, SEMANTIC)))}")
    if not 0 <= recipe.overlap < recipe.size:
        raise ValueError(f"A chunk of {recipe.size} characters cannot overlap the next by {recipe.overlap}")
    if recipe.chunker != SEMANTIC:
        return CHUNKERS[recipe.chunker](document, recipe)
    if distances is None:
        raise ValueError("The semantic chunker cannot cut without the distances between sentences")
    return cut_semantic(document, recipe, distances)
