"""Cutting a document into chunks by a recipe."""

from collections.abc import Callable

from rag.chunking.fixed import cut_fixed
from rag.chunking.structural import cut_structural
from rag.values import ChunkDraft, ChunkRecipe, ParsedDocument

Chunker = Callable[[ParsedDocument, ChunkRecipe], tuple[ChunkDraft, ...]]

CHUNKERS: dict[str, Chunker] = {"fixed": cut_fixed, "structural": cut_structural}


def cut(*, document: ParsedDocument, recipe: ChunkRecipe) -> tuple[ChunkDraft, ...]:
    """Chunks in the order of the text, none of them blank, with keys unique within the document.

    Raises ValueError for an unknown chunker and for sizes that cannot be: `size` below 1, or an overlap that is
    negative or not smaller than the size.
    """
    chunker = CHUNKERS.get(recipe.chunker)
    if chunker is None:
        raise ValueError(f"Unknown chunker {recipe.chunker!r}; known: {', '.join(sorted(CHUNKERS))}")
    if not 0 <= recipe.overlap < recipe.size:
        raise ValueError(f"A chunk of {recipe.size} characters cannot overlap the next by {recipe.overlap}")
    return chunker(document, recipe)
