"""Chunks that follow the structure of a document: sections first, then whole blocks within a section."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rag.chunking import markdown, rst
from rag.chunking.blocks import Block, Kind, Recogniser, lines_of, parse
from rag.chunking.headings import Levels, plain_title
from rag.chunking.keys import Keys, slug_of
from rag.chunking.packing import pack
from rag.values import ChunkDraft, ChunkRecipe, ParsedDocument

HEADING_SEPARATOR = " > "

SMALL_SHARE = 0.25
"""A section shorter than this share of a chunk is joined with the next one under the same parent when both fit."""

_OUTER: dict[str, tuple[Recogniser, ...]] = {"markdown": markdown.OUTER, "rst": rst.OUTER, "plain": ()}


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with the blocks below it. `path` holds the titles from the document's down to the section's own.

    `parent` is what a section must lie under to be joined with this one.
    """

    path: tuple[str, ...]
    parent: tuple[str, ...]
    blocks: tuple[Block, ...]

    @property
    def start(self) -> int:
        return self.blocks[0].start

    @property
    def end(self) -> int:
        return self.blocks[-1].end


def cut_structural(document: ParsedDocument, recipe: ChunkRecipe) -> tuple[ChunkDraft, ...]:
    """Chunks of at most `size` characters, in order, without overlap, together holding all that is not blank."""
    keys = Keys(document.source)
    drafts = []
    for section in _joined(sections_of(document), recipe.size):
        slug = slug_of(section.path[-1])
        heading = HEADING_SEPARATOR.join(section.path)
        spans = pack(text=document.text, blocks=section.blocks, markup=document.markup, size=recipe.size)
        for start, end in (_tight(document.text, *span) for span in spans):
            drafts.append(ChunkDraft(keys.next(slug), document.text[start:end], heading, start, end))
    return tuple(drafts)


def sections_of(document: ParsedDocument) -> Iterator[Section]:
    """Sections in order. What stands before the first heading belongs to the document itself."""
    levels = Levels(document.markup)
    open_titles: list[tuple[int, str]] = []
    for group in _groups(parse(lines=lines_of(document.text), recognisers=_OUTER[document.markup])):
        heading = next((block for block in group if block.kind is Kind.HEADING), None)
        if heading is not None:
            level = levels.of(heading.style)
            open_titles = [opened for opened in open_titles if opened[0] < level]
            open_titles.append((level, plain_title(heading.title)))
        path = _path(document.title, tuple(title for _, title in open_titles if title))
        yield Section(path, path[:-1], tuple(group))


def _groups(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Blocks parted before each heading; the labels just above a heading go with it."""
    group: list[Block] = []
    for block in blocks:
        if block.kind is Kind.HEADING and group:
            labels = _labels_at_end(group)
            if len(labels) < len(group):
                yield group[: len(group) - len(labels)]
            group = labels
        group.append(block)
    if group:
        yield group


def _labels_at_end(group: list[Block]) -> list[Block]:
    first = len(group)
    while first > 0 and group[first - 1].kind is Kind.LABEL:
        first -= 1
    return group[first:]


def _path(title: str, headings: tuple[str, ...]) -> tuple[str, ...]:
    return headings if headings[:1] == (title,) else (title, *headings)


def _joined(sections: Iterable[Section], size: int) -> Iterator[Section]:
    held: Section | None = None
    for section in sections:
        if held is None:
            held = section
        elif _is_bare(held) and section.path[: len(held.path)] == held.path:
            held = Section(section.path, section.parent, held.blocks + section.blocks)
        elif _belong_together(held, section, size):
            held = Section(_common(held.path, section.path), held.parent, held.blocks + section.blocks)
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


def _common(path: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    pairs = zip(path, other, strict=False)
    alike = next((index for index, (one, two) in enumerate(pairs) if one != two), min(len(path), len(other)))
    return path[:alike]


def _tight(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without blank lines at either end; the indentation of the first line stays."""
    piece = text[start:end]
    lead = len(piece) - len(piece.lstrip())
    return start + piece.rfind("\n", 0, lead) + 1, start + len(piece.rstrip())
