"""Chunks that follow the structure of a document: sections first, then whole blocks within a section."""

from collections.abc import Iterable, Iterator

from rag.chunking.blocks import Kind
from rag.chunking.keys import Keys, slug_of
from rag.chunking.packing import pack
from rag.chunking.sections import HEADING_SEPARATOR, Section, common_path, sections_of, tight
from rag.values import ChunkDraft, ChunkRecipe, ParsedDocument

SMALL_SHARE = 0.25
"""A section shorter than this share of a chunk is joined with the next one under the same parent when both fit."""


def cut_structural(document: ParsedDocument, recipe: ChunkRecipe) -> tuple[ChunkDraft, ...]:
    """Chunks of at most `size` characters, in order, without overlap, together holding all that is not blank."""
    keys = Keys(document.source)
    drafts = []
    for section in _joined(sections_of(document), recipe.size):
        slug = slug_of(section.path[-1])
        heading = HEADING_SEPARATOR.join(section.path)
        spans = pack(text=document.text, blocks=section.blocks, markup=document.markup, size=recipe.size)
        for start, end in (tight(document.text, *span) for span in spans):
            drafts.append(ChunkDraft(keys.next(slug), document.text[start:end], heading, start, end))
    return tuple(drafts)


def _joined(sections: Iterable[Section], size: int) -> Iterator[Section]:
    held: Section | None = None
    for section in sections:
        if held is None:
            held = section
        elif _is_bare(held) and section.path[: len(held.path)] == held.path:
            held = Section(section.path, section.parent, held.blocks + section.blocks)
        elif _belong_together(held, section, size):
            held = Section(common_path(held.path, section.path), held.parent, held.blocks + section.blocks)
        else:
            yield held
            held = section
    if held is not None:
        yield held


def _is_bare(section: Section) -> bool:
    """Whether it is a heading without any text, which is nothing to find: it goes before what it is the heading of."""
    return all(block.kind in (Kind.HEADING, Kind.LABEL) for block in section.blocks)


def _belong_together(held: Section, section: Section, size: int) -> bool:
    is_small = held.end - held.start < SMALL_SHARE * size
    under_same_parent = section.path[: len(held.parent)] == held.parent
    return is_small and under_same_parent and section.end - held.start <= size
