"""Sections of a document: a heading with the blocks below it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rag.chunking import markdown, rst
from rag.chunking.blocks import Block, Kind, Recogniser, lines_of, parse
from rag.chunking.headings import Levels, plain_title
from rag.values import ParsedDocument

HEADING_SEPARATOR = " > "

OUTER: dict[str, tuple[Recogniser, ...]] = {"markdown": markdown.OUTER, "rst": rst.OUTER, "plain": ()}
"""What a whole document, or a stretch of one, is made of, by its markup."""


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


def sections_of(document: ParsedDocument) -> Iterator[Section]:
    """Sections in order. What stands before the first heading belongs to the document itself."""
    levels = Levels(document.markup)
    open_titles: list[tuple[int, str]] = []
    for group in _groups(parse(lines=lines_of(document.text), recognisers=OUTER[document.markup])):
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


def common_path(path: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    pairs = zip(path, other, strict=False)
    alike = next((index for index, (one, two) in enumerate(pairs) if one != two), min(len(path), len(other)))
    return path[:alike]


def tight(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without blank lines at either end; the indentation of the first line stays."""
    piece = text[start:end]
    lead = len(piece) - len(piece.lstrip())
    return start + piece.rfind("\n", 0, lead) + 1, start + len(piece.rstrip())
