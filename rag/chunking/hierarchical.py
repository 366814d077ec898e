"""Small chunks to be found, within the larger ones that are sent in their place.

A small piece says one thing, which its vector can say too; the piece around it has what an answer needs besides. The pattern is
known as small-to-big or parent-document retrieval (LangChain's `ParentDocumentRetriever`, 2023).
"""

from collections.abc import Iterator
from dataclasses import replace

from rag.chunking.blocks import lines_of, parse
from rag.chunking.keys import child_key
from rag.chunking.packing import pack
from rag.chunking.sections import OUTER, tight
from rag.chunking.structural import cut_structural
from rag.values import ChunkDraft, ChunkRecipe, ParsedDocument


def cut_hierarchical(document: ParsedDocument, recipe: ChunkRecipe) -> tuple[ChunkDraft, ...]:
    """Chunks of at most `size` characters, in order. Their parents are what `structural` makes at `parent_size`; the children
    of a parent together hold all of it that is not blank, and none lies in two parents. Code and tables that are larger than
    a child are whole in the parent.

    Raises ValueError for parents that are smaller than their children.
    """
    if recipe.parent_size < recipe.size:
        raise ValueError(f"Parents of {recipe.parent_size} characters cannot hold children of {recipe.size}")
    parents = cut_structural(document, replace(recipe, size=recipe.parent_size))
    return tuple(child for parent in parents for child in children_of(parent, document, recipe))


def children_of(parent: ChunkDraft, document: ParsedDocument, recipe: ChunkRecipe) -> Iterator[ChunkDraft]:
    blocks = parse(lines=lines_of(parent.text, start=parent.start), recognisers=OUTER[document.markup])
    spans = pack(text=document.text, blocks=blocks, markup=document.markup, size=recipe.size)
    for number, span in enumerate(spans):
        start, end = tight(document.text, *span)
        key = child_key(parent.key, number)
        yield ChunkDraft(key, document.text[start:end], parent.heading, start, end, parent)
